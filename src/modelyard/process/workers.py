"""A server in a process of its own: as its supervisor sees it, and what runs in it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait

import structlog
from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.server import Server

from modelyard import logs
from modelyard.process.mistakes import told
from modelyard.process.stopping import StoppingServer
from modelyard.settings import load_settings

log = structlog.get_logger()

HUNG_SECONDS = 60.0  # without a beat, which a thread of its own gives
START_SECONDS = 300.0
_BEAT_SECONDS = 1.0
_START_BEAT_SECONDS = 0.1
_spawning = multiprocessing.get_context("spawn")


class Worker:
    """A server in a process of its own, which takes its connections from `sockets`. Raises OSError at its start."""

    def __init__(self, config: Config, sockets: Sequence[socket.socket]) -> None:
        self.ready = False  # it takes connections
        self._beats, theirs = multiprocessing.Pipe(duplex=False)
        self._silence = 0.0
        self._process = _spawning.Process(target=_run, args=(config, sockets, theirs))
        with theirs:
            self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """How it has ended; a negative number is that of a signal."""
        return self._process.exitcode

    @property
    def end(self) -> int:
        """A descriptor that can be read once it has ended."""
        return self._process.sentinel

    def look(self, elapsed: float) -> None:
        """Learn how it is, `elapsed` seconds after the last look; kill it when nothing has come from it for long."""
        self._silence += elapsed
        with suppress(EOFError, OSError):  # it has just ended
            while self._beats.poll():
                self.ready, self._silence = self._beats.recv(), 0.0
        if self._silence > (HUNG_SECONDS if self.ready else START_SECONDS):
            log.error("worker hangs", pid=self.pid, ready=self.ready)
            self.tell(signal.SIGKILL)

    def tell(self, number: int) -> None:
        """Send it a signal."""
        if self.lives:
            os.kill(self.pid, number)


def _run(config: Config, sockets: Sequence[socket.socket], beats: Connection) -> None:
    """What runs in the process. A closed terminal tells all processes; what follows is the supervisor's to say."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logs.configure("info", None)  # until the settings are read
    config.configure_logging()
    try:
        settings = load_settings()  # anew, for whom a restart brings other ones
        config.timeout_graceful_shutdown = settings.shutdown_timeout
        server = StoppingServer(config, settings.shutdown_delay)
        threading.Thread(target=_beat, args=(server, beats), daemon=True).start()
        with suppress(KeyboardInterrupt):
            server.run(list(sockets))
    except Exception as error:
        mistake = told(error)
        if mistake is None:
            raise
        log.error("worker cannot serve", error=mistake.sentence)
        sys.exit(STARTUP_FAILURE)


def _beat(server: Server, beats: Connection) -> None:
    """Tell the supervisor again and again that this process runs, and whether it serves.

    When it is killed, stop this one as well: nobody else would, and its address would stay taken.
    """
    supervisor = multiprocessing.parent_process()
    while supervisor and not wait([supervisor.sentinel], _BEAT_SECONDS if server.started else _START_BEAT_SECONDS):
        with suppress(OSError):
            beats.send(server.started)
    os.kill(os.getpid(), signal.SIGTERM)
