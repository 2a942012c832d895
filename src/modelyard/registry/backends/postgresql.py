"""PostgreSQL: a pool of connections and many writers at once, in this process and in others.

Writers run in READ COMMITTED and take the locks of `registry.locks`, so that each sees all that was committed before
it got its turn. What the locks do not cover is held by constraints: whoever meets one that another transaction has just
made true is run again and finds the other's rows. Readers get one snapshot for all that they ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

from sqlalchemy import URL, create_engine, event, func, make_url, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError
from sqlalchemy.orm.exc import StaleDataError

from modelyard.registry.backends.base import Backend, TurnTaken
from modelyard.registry.backends.postgresql_watch import PostgreSQLWatch
from modelyard.registry.backends.sessions import Sessions, joined_options, split_options
from modelyard.registry.locks import let_go, lock_number

if TYPE_CHECKING:
    from psycopg import Connection  # of an extra that others do without

SPARE_CONNECTIONS = 4  # for probes, and for commands that work without the threads
POOL_TIMEOUT_SECONDS = 10
CANCEL_SECONDS = 5
TIMEOUTS = {  # milliseconds
    "statement_timeout": "30000",
    "lock_timeout": "15000",
    "idle_in_transaction_session_timeout": "60000",
}
# To compile a statement of many parts takes seconds, and none of ours runs long enough to earn that back.
PLANNING = {"jit": "off"}
# The locks of a machine that vanished are free again after half a minute, not after the kernel's two hours.
KEEPALIVES = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}  # seconds
# A peer that vanished without a word is noticed within half a minute (libpq's connection parameters).
CONNECT_OPTIONS = {
    "application_name": "modelyard",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
LOST = {  # SQLSTATEs after which a connection is of no use, though the driver may not have noticed yet
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "25006",  # read_only_sql_transaction: after a failover, the server is no longer the primary
}
PASSING = {  # SQLSTATEs of appendix A of PostgreSQL's documentation
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "23505",  # unique_violation: somebody else was first
    "23503",  # foreign_key_violation: what was found a moment ago is gone
}


class PostgreSQLBackend(Backend):
    """Connections are not tested before use: a lost one shows in the work itself, which is run again on a new one."""

    reader_threads = 4
    writer_threads = 8
    attempts = 6

    def __init__(self, url: str, *, on_full_disk: bool = False) -> None:
        from modelyard.registry.backends.postgresql_trips import READING, make_lean  # noqa: PLC0415 - needs the driver

        del on_full_disk  # its disk is the server's matter, too
        parts = make_url(url)
        given, others = split_options(parts)
        self._connect_args = connect_args = _connect_options(parts) | {"options": joined_options({}, others)}
        engine = create_engine(
            parts.difference_update_query(["options"]),
            connect_args=connect_args,
            pool_size=self.threads(),
            max_overflow=SPARE_CONNECTIONS,
            pool_timeout=POOL_TIMEOUT_SECONDS,
            pool_use_lifo=True,
            isolation_level="AUTOCOMMIT",  # the driver begins nothing by its own rules
        )
        make_lean(engine)
        self._sessions = sessions = Sessions(TIMEOUTS | KEEPALIVES | PLANNING | given)
        event.listen(engine, "connect", lambda connection, _entry: sessions.begin(connection), insert=True)
        event.listen(engine, "handle_error", _notice_loss, retval=True)
        super().__init__(engine)
        self.reader = engine.execution_options(begin=READING)
        self.single_reader = engine.execution_options(begin=b"")

    def watch(self) -> PostgreSQLWatch:
        """See `Backend.watch`."""
        return PostgreSQLWatch(self._session)

    def _session(self) -> Connection[tuple[object, ...]]:
        """A session that is none of the pool's."""
        dialect = self.engine.dialect
        positional, named = dialect.create_connect_args(self.engine.url)
        session = cast(
            "Connection[tuple[object, ...]]", dialect.connect(*positional, **{**named, **self._connect_args})
        )
        self._sessions.begin(session)
        return session

    @contextmanager
    def alone(self, work: str) -> Iterator[None]:
        """See `Database.alone`: a lock of a session, which ends with its process, and is not held in a transaction."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            number = lock_number(f"work {work}")
            if not connection.scalar(select(func.pg_try_advisory_lock(number))):
                raise TurnTaken(work)
            try:
                yield
            finally:
                let_go(connection, number)
                connection.invalidate()  # closed, not given back to the pool with the lock

    def interrupt(self, connection: Connection[tuple[object, ...]]) -> None:
        """See `Backend.interrupt`: the server is told on a connection of its own."""
        with suppress(connection.OperationalError):  # then it does not answer the statement either
            connection.cancel_safe(timeout=CANCEL_SECONDS)

    def is_ended(self, error: DBAPIError) -> bool:
        """See `Backend.is_ended`: by `statement_timeout` (query_canceled)."""
        return _sqlstate(error.orig) == "57014"

    def close_to_others(self) -> None:
        """See `Backend.close_to_others`: its files are the server's matter."""

    def is_passing(self, error: Exception, *, committing: bool) -> bool:
        """See `Backend.is_passing`. A connection lost while committing may have committed: nobody knows."""
        if isinstance(error, StaleDataError):
            return True
        if not isinstance(error, DBAPIError):
            return False
        return not committing if error.connection_invalidated else _sqlstate(error.orig) in PASSING


def _notice_loss(context: ExceptionContext) -> BaseException | None:
    if _sqlstate(context.original_exception) in LOST:
        context.is_disconnect = True  # all connections of the pool are made anew
    if context.is_disconnect and isinstance(context.sqlalchemy_exception, InternalError):
        # What psycopg makes of PostgreSQL's last words and a pooler's, where they come together.
        return OperationalError(context.statement, None, context.original_exception, connection_invalidated=True)
    return None


def _sqlstate(error: BaseException | None) -> str | None:
    return getattr(error, "sqlstate", None)


def _connect_options(url: URL) -> dict[str, object]:
    """The connection parameters; those in the URL win."""
    return {name: value for name, value in CONNECT_OPTIONS.items() if name not in url.query}
