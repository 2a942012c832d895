"""Several servers on one address, each in a process of its own, with a listening socket of its own.

Where processes share a listening socket, whoever wakes first takes the connection: of 16 that came at once, one of two
workers got 11 to 15, and all of them at times, so that the other brought nothing for as long as they stayed open. Among
sockets of their own the kernel spreads them evenly (SO_REUSEPORT in socket(7)). What it has given to one waits for
that one, however busy it is.

The sockets are the supervisor's, and outlive a worker: whatever waits in one is for the worker that follows. So a
restart loses nothing. For each worker a new one is started, and as soon as that takes connections, the old one leaves
them to it and ends what it has begun, however long that takes (`stopping`).
"""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait

import structlog
from uvicorn.config import STARTUP_FAILURE, Config

from modelyard.process import listening
from modelyard.process.stopping import RETIRE
from modelyard.process.workers import Worker

log = structlog.get_logger()

TICK_SECONDS = 0.2
PAUSE_SECONDS = 5.0  # before a worker that could not start is started again
OVERLAP_SECONDS = 10.0  # for which a restart waits for an old worker's end before it goes on with the next
_SPREADS = sys.platform == "linux"  # macOS has the option as well, but gives all connections to one of the sockets
_OVER = object()
_STOPS = (signal.SIGTERM, signal.SIGINT)
# The others are not to end the process: rotating logs, say, sends SIGUSR1 to what it knows nothing of.
_SIGNALS = (*_STOPS, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT)


@dataclass(eq=False)
class _Place:
    """Where one worker serves at a time."""

    sockets: list[socket.socket] = field(default_factory=list)
    worker: Worker | None = None
    due: float = 0.0  # when one may be started where there is none


class Supervisor:
    """Starts workers and replaces those that die; on SIGHUP it replaces all of them, one by one.

    SIGTTIN adds one, SIGTTOU takes one away, SIGTERM and SIGINT stop all.
    """

    def __init__(self, config: Config, claims: list[socket.socket]) -> None:
        self._config = config
        self._claims = listening.shared(claims) if _SPREADS else listening.freed(claims)
        self._places = [_Place() for _ in range(config.workers)]
        self._coming: Worker | None = None  # into a place where another one still is
        self._leaving: list[Worker] = []
        self._signals: deque[int] = deque()
        self._restart: Iterator[None] | None = None
        self._restart_again = False
        self._failed = False
        self._looked = time.monotonic()

    def run(self) -> None:
        """Serve until a signal. Ends the process with a status of its own where no worker can start."""
        for number in _SIGNALS:
            signal.signal(number, lambda received, _frame: self._signals.append(received))
        stop = None
        while stop is None and not self._failed:
            self._fill()
            self._look()
            stop = self._obey()
            self._go_on_replacing()
        self._stop(stop)
        if self._failed:
            sys.exit(STARTUP_FAILURE)

    def _workers(self) -> list[Worker]:
        every = [*(place.worker for place in self._places), self._coming, *self._leaving]
        return [worker for worker in every if worker is not None]

    def _fill(self) -> None:
        """Have a worker in each place."""
        for place in self._places:
            if place.worker is not None and not place.worker.lives:
                self._bury(place, place.worker)
            if place.worker is None and time.monotonic() >= place.due:
                place.worker = self._start(place)
                if place.worker is None:
                    self._postpone(place, failed=True)

    def _look(self) -> None:
        """Wait for a moment, or until a worker ends, and learn how all of them are."""
        wait([worker.end for worker in self._workers()], TICK_SECONDS)
        now = time.monotonic()
        # While the supervisor itself stood still, as the whole machine may, nobody was silent.
        elapsed, self._looked = min(now - self._looked, 2 * TICK_SECONDS), now
        for worker in self._workers():
            worker.look(elapsed)
        self._leaving = [worker for worker in self._leaving if worker.lives]

    def _start(self, place: _Place) -> Worker | None:
        """A new worker for a place; None where the system does not let it be made."""
        try:
            if not place.sockets:
                place.sockets = [listening.share(claim) for claim in self._claims] if _SPREADS else self._claims
            return Worker(self._config, place.sockets)
        except OSError as error:
            log.error("worker cannot be started", error=str(error))
            return None

    def _bury(self, place: _Place, worker: Worker) -> None:
        log.warning("worker died", pid=worker.pid, exit_code=worker.exit_code)
        place.worker = None
        if not worker.ready:
            self._postpone(place, failed=(worker.exit_code or 0) > 0)  # and was not killed

    def _postpone(self, place: _Place, *, failed: bool) -> None:
        """Start a worker later; give up where it failed by itself and no other one serves."""
        if _SPREADS:  # or what the kernel gives to this place would wait for long, while others serve
            listening.close(place.sockets)
            place.sockets = []
        place.due = time.monotonic() + PAUSE_SECONDS
        self._failed = failed and not any(worker.ready for worker in self._workers())

    def _obey(self) -> int | None:
        """Do what signals say; the one that says to stop, if any."""
        while self._signals:
            number = self._signals.popleft()
            if number in _STOPS:
                return number
            if number == signal.SIGHUP:
                self._restart_again = True
            elif number == signal.SIGTTIN:
                self._places.append(_Place())
            elif number == signal.SIGTTOU and len(self._places) > 1:
                self._take_away(self._places.pop())
        return None

    def _take_away(self, place: _Place) -> None:
        if _SPREADS:
            listening.close(place.sockets)
        if place.worker is not None:
            place.worker.tell(signal.SIGTERM)
            self._leaving.append(place.worker)

    def _go_on_replacing(self) -> None:
        if self._restart is None and self._restart_again:
            self._restart, self._restart_again = self._replace_all(), False
        if self._restart is not None and next(self._restart, _OVER) is _OVER:
            self._restart = None

    def _replace_all(self) -> Iterator[None]:
        """Replace the worker of each place; yields whenever there is something to wait for."""
        log.info("replacing workers", workers=len(self._places))
        for place in list(self._places):
            self._coming = new = self._start(place)
            while new is not None and new.lives and not new.ready:
                yield
            self._coming = None
            if new is None or not new.ready:
                log.error("replacing workers given up", advice="those that are there go on")
                return
            old, place.worker = place.worker, new
            if place not in self._places:
                self._take_away(place)  # once more: `old` was there when its place was
            elif old is not None:
                old.tell(RETIRE)
                self._leaving.append(old)
                patience = time.monotonic() + OVERLAP_SECONDS
                while old.lives and time.monotonic() < patience:
                    yield
        log.info("workers replaced")

    def _stop(self, number: int | None) -> None:
        """Stop all workers, who alone listen from now on, and hand on whatever else is signalled."""
        for place in self._places:
            listening.close(place.sockets)
        listening.close(self._claims)
        self._tell(signal.SIGTERM)
        if number == signal.SIGINT:  # which does not wait for the delay: a worker's second signal ends it
            time.sleep(TICK_SECONDS)
            self._tell(signal.SIGTERM)
        while any(worker.lives for worker in self._workers()):
            self._look()
            while self._signals:
                received = self._signals.popleft()
                if received in _STOPS:
                    self._tell(received)

    def _tell(self, number: int) -> None:
        for worker in self._workers():
            worker.tell(number)
