"""Marks asked from PostgreSQL, on a connection of the event loop's own: one small statement for many requests.

Requests that come while a statement runs wait for the next one, which begins when that has ended. So each statement
begins after all the requests that share it have arrived, and sees whatever had been acknowledged by then, on whichever
replica: PostgreSQL shows a commit to others before it tells whoever made it.

Nobody waits long for it: what has no answer within a second, on a connection that is lost, or of a server that only
follows another, is looked up as if nothing were remembered, and the connection is made anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

import structlog

from modelyard.registry.backends.watching import Watch
from modelyard.registry.marks import Marks

if TYPE_CHECKING:
    from psycopg import Connection  # of an extra that others do without

    Session: TypeAlias = Connection[tuple[object, ...]]

log = structlog.get_logger()

ANSWER_SECONDS = 1.0
PAUSE_SECONDS = 1.0  # between attempts at a connection
MAX_SCOPES = 1_000  # in one statement; whoever asks for more than fit does without an answer
NAME = b"marks"
# A server that follows another may not know yet what that one has acknowledged.
STATEMENT = b"""
    SELECT scope, sum(mark) FROM marks WHERE scope = ANY ($1::text[]) GROUP BY scope
    UNION ALL SELECT '', 0 WHERE NOT pg_is_in_recovery()
"""
# The table is small enough to be read whole, until it is not.
SETTINGS = b"SET enable_seqscan = off; SET default_transaction_read_only = on"

Found: TypeAlias = dict[str, int] | None


class Batch:
    """Requests that share one statement."""

    def __init__(self) -> None:
        self.scopes: set[str] = set()
        self._waiting: list[asyncio.Future[Found]] = []

    def join(self, marks: Marks, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Found]:
        """What is found of all scopes; None where there is no answer."""
        self.scopes.update(scope for scope, _mark in marks)
        future = loop.create_future()
        self._waiting.append(future)
        return future

    def answer(self, found: Found) -> None:
        """Let all of them go on."""
        for future in self._waiting:
            if not future.done():  # nobody has left
                future.set_result(found)


class PostgreSQLWatch(Watch):
    """For one event loop at a time. `connect` makes a session, on a thread of `executor`."""

    def __init__(self, connect: Callable[[], Session]) -> None:
        self._connect = connect
        self._executor = ThreadPoolExecutor(1, "registry-watch")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: Session | None = None
        self._descriptor = -1  # of the session's socket
        self._connecting: asyncio.Task[None] | None = None
        self._tried_at = -PAUSE_SECONDS
        self._running: Batch | None = None
        self._next: Batch | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def holds(self, marks: Marks) -> bool:
        """See `Watch.holds`."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        if self._session is None or not marks:
            self._begin()
            return False
        batch = self._next
        if batch is None:
            batch = self._next = Batch()
            if self._running is None:
                loop.call_soon(self._send)  # after all that is queued already, which is to join
        if len(batch.scopes) > MAX_SCOPES:
            return False
        found = await batch.join(marks, loop)
        return found is not None and all(found.get(scope, 0) == mark for scope, mark in marks)

    def close(self) -> None:
        """See `Watch.close`."""
        self._closed = True
        self._lose(None)
        self._executor.shutdown()

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        self._lose(None)
        self._loop, self._connecting, self._tried_at = loop, None, -PAUSE_SECONDS

    def _begin(self) -> None:
        """Connect, unless that is under way, or was just tried."""
        now = time.monotonic()
        if self._connecting is None and self._loop is not None and now - self._tried_at >= PAUSE_SECONDS:
            self._tried_at = now
            self._connecting = self._loop.create_task(self._connected())

    async def _connected(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            session = await loop.run_in_executor(self._executor, lambda: _prepared(self._connect()))
        except Exception as error:
            log.warning("lookups are not remembered", error=str(error).partition("\n")[0])
        else:
            if self._closed or loop is not self._loop:
                session.close()
                return
            self._session, self._descriptor = session, session.fileno()
            loop.add_reader(self._descriptor, self._read)
        finally:
            self._connecting = None

    def _send(self) -> None:
        session, batch = self._session, self._next
        if session is None or batch is None or self._running is not None or self._loop is None:
            return
        self._running, self._next = batch, None
        wanted = '{"' + '","'.join(batch.scopes) + '"}'
        try:
            session.pgconn.send_query_prepared(NAME, [wanted.encode()])
            if session.pgconn.flush():  # the server has not read a few hundred bytes
                raise session.OperationalError("the server does not read")
        except session.Error as error:
            self._lose(error)
            return
        self._timer = self._loop.call_later(ANSWER_SECONDS, self._lose, TimeoutError("no answer in time"))

    def _read(self) -> None:
        session = self._session
        if session is None:
            return
        try:
            session.pgconn.consume_input()
            if session.pgconn.is_busy():
                return
            found = _found(session) if self._running is not None else None
        except (session.Error, ValueError) as error:
            self._lose(error)
            return
        if self._running is None:
            return  # a notice, or a parameter's new value; the end of a connection is an error, as it is read
        if self._timer is not None:
            self._timer.cancel()
        batch, self._running = self._running, None
        batch.answer(found)
        self._send()

    def _lose(self, error: BaseException | None) -> None:
        """Give the connection up; whoever waits looks up what he wants."""
        session, self._session = self._session, None
        if self._timer is not None:
            self._timer.cancel()
        if session is not None:
            if error is not None:
                log.info("marks are asked on another connection", error=str(error).partition("\n")[0])
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._descriptor)
            session.close()
        batches, self._running, self._next = (self._running, self._next), None, None
        for batch in filter(None, batches):
            if self._loop is not None and not self._loop.is_closed():
                batch.answer(None)


def _prepared(session: Session) -> Session:
    """The session, with its one statement, for use without waiting."""
    connection = session.pgconn
    for result in (connection.exec_(SETTINGS), connection.prepare(NAME, STATEMENT)):
        if result.error_message:
            said = result.error_message.decode(errors="replace").strip()
            session.close()
            raise session.OperationalError(said)
    connection.nonblocking = 1
    return session


def _found(session: Session) -> Found:
    """The marks of a statement that has ended. Raises the driver's Error, where it has failed."""
    found: dict[str, int] = {}
    while (result := session.pgconn.get_result()) is not None:
        if result.error_message:
            raise session.OperationalError(result.error_message.decode(errors="replace").strip())
        for row in range(result.ntuples):
            scope, mark = result.get_value(row, 0), result.get_value(row, 1)
            found[(scope or b"").decode()] = int(mark or 0)
    return found if "" in found else None
