"""SQLite where its disk has no room for a byte, so that room can be made by whoever finds out what nothing refers to.

A database in WAL mode takes room just to be read: for the log's index, which processes share, and for the log. Without
room, this process has the database for itself, and the index lies in its memory (sqlite.org/wal.html, "Use of WAL
Without Shared-Memory"). Where not even an empty log can be made, as on a full XFS, there was none: the file is whole,
and read without one.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Any

from modelyard.registry.backends.sqlite_files import explained, is_full, set_up

LOCK_BYTES = (0x40000000, 512)  # begin and length of what SQLite's own locks are on (sqlite.org/fileformat2.html, 1.2)


class ReadOnlyConnection(sqlite3.Connection):
    """One that keeps all other processes from the database, and does not write to it."""

    claim: int  # descriptor of the file, with the lock

    def close(self) -> None:
        """Close it, and let the others in."""
        super().close()
        os.close(self.claim)


def connect_alone(path: Path, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 - the driver's own
    """A connection that needs no room until it writes, while no other process has the database. Raises sqlite3.Error.

    Where it could not write at all, it is a ReadOnlyConnection.
    """
    connection: sqlite3.Connection = sqlite3.connect(path, **options)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        set_up(connection)
    except sqlite3.Error as error:
        connection.close()
        if is_full(explained(error, path)):
            return _read_only(path, error, options)
        raise
    return connection


def _read_only(path: Path, cause: sqlite3.Error, options: dict[str, Any]) -> ReadOnlyConnection:
    url = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(url, uri=True, factory=ReadOnlyConnection, **options)
    connection.claim = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _lock(connection.claim)
        if any(log.exists() and log.stat().st_size for log in (Path(f"{path}-wal"), Path(f"{path}-journal"))):
            raise cause
        set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _lock(descriptor: int) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCK_BYTES[1], LOCK_BYTES[0])
    except OSError as error:
        raise sqlite3.OperationalError("database is locked") from error
