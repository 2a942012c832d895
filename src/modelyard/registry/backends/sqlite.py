"""SQLite: a file in WAL mode, one writer at a time, readers that never wait."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import Dialect, ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from modelyard.registry.backends.base import Backend, TurnTaken
from modelyard.registry.backends.sqlite_files import create_database, explained, files_of, is_full, set_up, tighten_all
from modelyard.registry.backends.sqlite_full_disk import ReadOnlyConnection, connect_alone
from modelyard.registry.backends.watching import SQLiteWatch
from modelyard.registry.driver import EXPLAIN
from modelyard.registry.lock_files import lock_file

log = structlog.get_logger()

BUSY_TIMEOUT_SECONDS = 30


class SQLiteBackend(Backend):
    """Writers queue here, on one thread of their own.

    So do short reads: a statement takes microseconds, after each of which the threads fight for the interpreter. MLflow
    calls that read, 16 connections, a server on two cores: 370 to 470 a second with eight threads, 590 with two, 800
    with one; on one core, 790 to 930 instead of 900 to 960. What may take long is read by others.
    """

    reader_threads = 1
    writer_threads = 1
    one_writer = True

    def __init__(self, url: str, *, on_full_disk: bool = False) -> None:
        engine = create_engine(
            url,
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_SECONDS},
            pool_size=self.threads(),
        )
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "connect", self._tell_explanation)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "handle_error", self._explain, retval=True)
        super().__init__(engine)
        self._files = files_of(engine.url)
        self._on_full_disk = on_full_disk
        self._read_only = False  # for want of room
        self._write_lock = threading.Lock()
        self._watch = SQLiteWatch(engine.url.database)

    def turn(self) -> AbstractContextManager[object]:
        """See `Backend.turn`: SQLite's own waiting is polling, so writers of one process queue before it."""
        return self._write_lock

    @contextmanager
    def alone(self, work: str) -> Iterator[None]:
        """See `Database.alone`: a lock on a file beside the database, which ends with its process. The file stays."""
        with lock_file(Path(self.engine.url.database or ""), work, on_full_disk=True) as file:
            if not file.try_lock():
                raise TurnTaken(work)
            yield

    def refuse_late(self, waited: float) -> None:
        """See `Backend.refuse_late`. Behind a lock that is not released, each in the queue would wait as long again."""
        if waited >= BUSY_TIMEOUT_SECONDS:
            raise OperationalError("BEGIN", None, sqlite3.OperationalError("database is locked, others wait before"))

    def interrupt(self, connection: sqlite3.Connection) -> None:
        """See `Backend.interrupt`."""
        connection.interrupt()

    def is_ended(self, error: DBAPIError) -> bool:
        """See `Backend.is_ended`: it does not."""
        del error
        return False

    def close_to_others(self) -> None:
        """See `Backend.close_to_others`."""
        for path in self._files:
            tighten_all(path)

    def watch(self) -> SQLiteWatch:
        """See `Backend.watch`."""
        return self._watch

    def generation(self) -> int | None:
        """See `Backend.generation`."""
        return self._watch.version()

    def _connect(
        self, _dialect: Dialect, _entry: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]
    ) -> sqlite3.Connection:
        # The driver must not begin transactions by its own rules: `_begin` does, and covers DDL too.
        options["isolation_level"] = None
        for path in self._files:
            create_database(path)
        try:
            return _prepared(sqlite3.connect(*arguments, **options))
        except sqlite3.Error as error:
            said = explained(error, *self._files)
            if not (self._on_full_disk and is_full(said)):
                raise
        connection = connect_alone(self._files[0], **options)
        self._read_only = isinstance(connection, ReadOnlyConnection)
        log.warning("no room beside the database, which is closed to all others meanwhile", error=str(said))
        return connection

    def _tell_explanation(self, _connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
        entry.info[EXPLAIN] = self._explained

    def _explained(self, error: sqlite3.Error) -> sqlite3.Error:
        if not isinstance(error, sqlite3.OperationalError):
            return error
        return explained(error, *self._files, full=self._read_only)

    def _explain(self, context: ExceptionContext) -> OperationalError | None:
        error = context.original_exception
        if not isinstance(error, sqlite3.Error) or (said := self._explained(error)) is error:
            return None
        return OperationalError(context.statement, context.parameters, said)


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        set_up(connection)
        _enter_wal_mode(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _enter_wal_mode(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL; SQLite does not wait for other connections here, as it does everywhere else."""
    give_up = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.05)
        else:
            return


def _begin(connection: Connection) -> None:
    # A transaction that will write takes the lock at once; taking it later can fail without any waiting.
    # The driver is asked directly: through the engine, BEGIN would take longer than many a statement.
    writing = connection.get_execution_options().get("writing", False)
    try:
        connection.connection.cursor().execute("BEGIN IMMEDIATE" if writing else "BEGIN")
    except sqlite3.Error as error:
        raise OperationalError("BEGIN", None, explained(error, *files_of(connection.engine.url))) from error
