"""Work on many things at once, by threads that nobody has to wait for at the end."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from modelyard_client.errors import Interrupted
from modelyard_client.stopping import Stop

T = TypeVar("T")
R = TypeVar("R")

LOOK_SECONDS = 0.2
LEAVE_SECONDS = 0.4  # that threads have to end in after a stop; Ctrl-C ends the command within a second


def each(work: Callable[[T], R | list[T] | None], items: Sequence[T], jobs: int, stop: Stop) -> Iterator[R]:
    """What `work` gives for each item, as it comes; where that is a list, it is what is to be done next.

    What it raises ends all of them, and is raised here. Raises Interrupted at Ctrl-C, which stops what goes on, and
    leaves what is stuck behind.
    """
    crew: _Crew[T, R] = _Crew(work, items, stop)
    running = [threading.Thread(target=crew.run, daemon=True) for _ in range(jobs)]
    try:
        for thread in running:
            thread.start()
        yield from crew.results()
    except BaseException as error:
        stop.set()
        _leave(running)
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted("Interrupted") from error
        raise


class _Crew(Generic[T, R]):
    """What is left to do, for all threads."""

    def __init__(self, work: Callable[[T], R | list[T] | None], items: Sequence[T], stop: Stop) -> None:
        self._work = work
        self._stop = stop
        self._waiting = deque(items)
        self._left = len(items)  # that are waiting, or at work
        self._changed = threading.Condition()
        self._done: queue.SimpleQueue[R | BaseException | None] = queue.SimpleQueue()
        if not items:
            self._done.put(None)

    def run(self) -> None:
        """Work until there is nothing left."""
        while (item := self._next()) is not None:
            try:
                found = self._work(item[0])
            except BaseException as error:
                self._done.put(error)
                return
            self._settle(found)

    def results(self) -> Iterator[R]:
        """As they come."""
        while True:
            try:
                found = self._done.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                self._stop.check()
                continue
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield found

    def _next(self) -> tuple[T] | None:
        with self._changed:
            while not self._waiting and self._left and not self._stop.wanted:
                self._changed.wait(LOOK_SECONDS)
            return (self._waiting.popleft(),) if self._waiting and not self._stop.wanted else None

    def _settle(self, found: R | list[T] | None) -> None:
        with self._changed:
            self._left -= 1
            if isinstance(found, list):
                self._waiting.extendleft(reversed(found))
                self._left += len(found)
            elif found is not None:
                self._done.put(found)
            if not self._left:
                self._done.put(None)
            self._changed.notify_all()


def _leave(running: Sequence[threading.Thread]) -> None:
    until = time.monotonic() + LEAVE_SECONDS
    for thread in running:
        if thread.ident is not None:
            thread.join(max(0.0, until - time.monotonic()))
