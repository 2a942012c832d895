"""Reads on threads that end in time: at their deadline, and when nobody waits for what they find any more.

Whoever waits for a read is answered then, at once. The read itself ends with its next statement, or in the midst of the
one that runs: the database is told to give it up, again and again until the thread is free, since what it is told
between two statements is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Lock
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import Connection

from modelyard import departures
from modelyard.departures import ClientGone
from modelyard.errors import ApiError, Unavailable
from modelyard.hops import Reply

T = TypeVar("T")

log = structlog.get_logger()

AGAIN_SECONDS = 0.1  # after which a database that goes on is told once more

_running: ContextVar[Unit | None] = ContextVar("unit", default=None)


class Stopped(Exception):
    """Ends a read within its thread; whoever waited for it has an answer."""


class Unit:
    """A read, as its thread and those that may stop it know it. `interrupt` gives up a connection's statement."""

    __slots__ = ("_connection", "_interrupt", "_lock", "begun", "stopped")

    def __init__(self, interrupt: Callable[[Any], None]) -> None:
        self.begun: float | None = None  # by the monotonic clock
        self.stopped = False
        self._interrupt = interrupt
        self._lock = Lock()
        self._connection: Any = None

    def begin(self) -> None:
        """Be what this thread works on from now on, in this context. Raises Stopped."""
        self.begun = time.monotonic()
        _running.set(self)
        self.go_on()

    def go_on(self) -> None:
        """Raise Stopped if the read is to end."""
        if self.stopped:
            raise Stopped

    @contextmanager
    def on(self, connection: Connection) -> Iterator[None]:
        """A block whose statements are given up by `interrupt`; nobody else's on the same connection ever are."""
        self._connection = connection.connection.dbapi_connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None
            if self.stopped:
                connection.invalidate()  # what it was told may arrive late

    def interrupt(self) -> None:
        """Give up the statement that runs, if any does; on another thread, as it may wait for the database."""
        with self._lock:
            if self._connection is not None:
                self._interrupt(self._connection)


def check(*_statement: object) -> None:
    """Raise Stopped before a statement of a read that is to end: SQLAlchemy's `before_cursor_execute`."""
    unit = _running.get()
    if unit is not None:
        unit.go_on()


@contextmanager
def on(connection: Connection) -> Iterator[None]:
    """A block in which the read of this context, if there is one, works on a connection."""
    unit = _running.get()
    if unit is None:
        yield
    else:
        with unit.on(connection):
            yield


def submit(
    executor: ThreadPoolExecutor, run: Callable[[], T], reply: Reply[T], ended: Callable[[], None] | None
) -> Future[T]:
    """Have a thread run a read for the client at hand, and tell what it finds.

    `ended` is called on the event loop when no thread is at it any more. Raises ClientGone, and has nothing begun, if
    nobody waits for it.
    """
    client, loop = departures.current(), asyncio.get_running_loop()
    try:
        if client is not None and client.gone:
            raise ClientGone
        future = executor.submit(_run_and_tell, run, reply)
    except BaseException:
        if ended is not None:
            ended()
        raise
    if ended is not None:
        future.add_done_callback(lambda _future: _tell(loop, ended))
    return future


def _run_and_tell(run: Callable[[], T], reply: Reply[T]) -> T:
    try:
        found = run()
    except BaseException as error:
        reply.fail(error)
        raise
    reply.succeed(found)
    return found


def _tell(loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended, and all that counts on it
        loop.call_soon_threadsafe(ended)


class Awaited(Generic[T]):
    """A read that a task waits for on the event loop, `seconds` from its beginning at most; 0: however long it takes.

    `late` makes the answer for one that takes longer; what is found though nobody waits any more is `unwanted`.
    """

    def __init__(
        self,
        unit: Unit,
        future: Future[T],
        reply: Reply[T],
        stopper: ThreadPoolExecutor,
        seconds: float,
        late: Callable[[float], ApiError],
        unwanted: Callable[[T], None],
    ) -> None:
        self._unit = unit
        self._future = future
        self._stopper = stopper
        self._seconds = seconds
        self._late = late
        self._unwanted = unwanted
        self._loop = asyncio.get_running_loop()
        self._waiting = reply.awaited
        self._timer = self._loop.call_later(seconds, self._look) if seconds else None
        self._reason: Exception | None = None
        self._told: Future[None] | None = None

    async def result(self) -> T:
        """What was read. Raises what the read raises, ClientGone, Unavailable, and what `late` makes."""
        client = departures.current()
        if client is not None:
            client.tell(self._leave)
        try:
            return await self._waiting
        except asyncio.CancelledError:
            self._future.cancel()  # where it has not begun
            self._future.add_done_callback(self._drop)
            self._stop()
            task = asyncio.current_task()
            if self._reason is None or (task is not None and task.cancelling()):
                raise
            raise self._reason from None
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if client is not None:
                client.forget(self._leave)

    def _look(self) -> None:
        """Give up what has had its time; whatever had to wait for its thread has had less."""
        begun = self._unit.begun
        if begun is None:
            log.warning("read did not begin in time", seconds=self._seconds)
            self._give_up(Unavailable("Too much is read at the moment"))
        elif (left := begun + self._seconds - time.monotonic()) > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            log.warning("read ended by its deadline", seconds=self._seconds)
            self._give_up(self._late(self._seconds))

    def _leave(self) -> None:
        self._give_up(ClientGone())

    def _give_up(self, reason: Exception) -> None:
        if not self._waiting.done():
            self._reason = reason
            self._waiting.cancel()

    def _drop(self, future: Future[T]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._unwanted(future.result())

    def _stop(self) -> None:
        """End the read itself, which may take a moment: nobody waits for that."""
        self._unit.stopped = True
        if self._future.done():
            return
        if self._told is None or self._told.done():
            self._told = self._stopper.submit(self._unit.interrupt)
        self._loop.call_later(AGAIN_SECONDS, self._stop)
