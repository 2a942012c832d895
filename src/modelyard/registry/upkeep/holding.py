"""Holding all blobs for a backup, so that nobody removes one meanwhile.

A backup copies the database first and then what that refers to. A blob in between may lose its last file, and `gc`
would remove it before it is copied. So a backup holds all blobs, and whoever removes one asks for that right and has it
until the removal is committed. The hold is a lock that ends with whoever has it, however that ends: a session's
advisory lock on PostgreSQL, and a lock on a file beside SQLite's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from modelyard.errors import CommandError
from modelyard.registry.lock_files import lock_file
from modelyard.registry.locks import let_go

BLOBS_LOCK = 0x6D6F64656C626C6F  # "modelblo"
LOCK_FILE = "blobs"
WAIT_SECONDS = 30.0  # for removals under way, each of which takes milliseconds
PAUSE_SECONDS = 0.01


class BlobsHeld(Exception):
    """A backup needs all blobs at the moment."""


@contextmanager
def holding_blobs(engine: Engine, wait: float = WAIT_SECONDS) -> Iterator[Callable[[], None]]:
    """Hold all blobs; gives a function that raises CommandError if the hold was lost with a connection.

    Raises CommandError where another backup has held them for `wait` seconds.
    """
    hold = _holding_postgresql if engine.dialect.name == "postgresql" else _holding_sqlite
    with hold(engine, time.monotonic() + wait) as still_held:
        yield still_held


@contextmanager
def removing_blobs(connection: Connection) -> Iterator[None]:
    """Have the right to remove blobs in the transaction of a connection. Raises BlobsHeld, without waiting."""
    if connection.dialect.name == "postgresql":
        # Lasts to the end of the transaction.
        if not connection.scalar(select(func.pg_try_advisory_xact_lock_shared(BLOBS_LOCK))):
            raise BlobsHeld
        yield
        return
    # Without room for the file nobody has it, and a backup that comes now copies what is seen here to refer to no blob.
    with lock_file(_database(connection.engine), LOCK_FILE, on_full_disk=True) as file:
        if not file.try_lock(shared=True):
            raise BlobsHeld
        # May end before the commit: until then, no other transaction can come to refer to the blob.
        yield


@contextmanager
def _holding_postgresql(engine: Engine, until: float) -> Iterator[Callable[[], None]]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # it ends with the block, and the lock with it
        connection.exec_driver_sql("SET idle_session_timeout = 0")
        _wait_for(lambda: bool(connection.scalar(select(func.pg_try_advisory_lock(BLOBS_LOCK)))), until)

        def still_held() -> None:
            try:
                connection.execute(select(1))
            except SQLAlchemyError as error:
                raise CommandError("the connection that kept gc from removing blobs was lost; run it again") from error

        try:
            yield still_held
        finally:
            let_go(connection, BLOBS_LOCK)


@contextmanager
def _holding_sqlite(engine: Engine, until: float) -> Iterator[Callable[[], None]]:
    with lock_file(_database(engine), LOCK_FILE) as file:
        _wait_for(file.try_lock, until)
        yield lambda: None


def _database(engine: Engine) -> Path:
    return Path(engine.url.database or "")


def _wait_for(attempt: Callable[[], bool], until: float) -> None:
    while not attempt():
        if time.monotonic() > until:
            raise CommandError("another backup of this registry is running")
        time.sleep(PAUSE_SECONDS)
