"""SQLite's file and those beside it: who may read them, and what the system says where SQLite only says "cannot"."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress
from glob import escape
from pathlib import Path
from tempfile import TemporaryFile

from sqlalchemy import URL

from modelyard.disk.durable import NO_ROOM
from modelyard.disk.private import create_private, tighten
from modelyard.registry.dialects import teach_case

COMPANIONS = ("", "-wal", "-shm", "-journal")
NEEDED_BYTES = 64 << 10  # beside a database: the index of its log alone has 32 KiB
_OF_FILES = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL})


def files_of(url: URL) -> tuple[Path, ...]:
    """The database's file; none where it is in memory, or named by a URI of SQLite's own."""
    name = url.database
    return (Path(name),) if name and name != ":memory:" and "uri" not in url.query else ()


def create_database(path: Path) -> None:
    """Make the file of a new database, which SQLite would let others read. Those that it makes beside it are alike.

    A failure is left for SQLite to meet. A file that is there is not opened: closing it would let go of SQLite's locks.
    """
    with suppress(OSError):
        os.close(create_private(path))


def set_up(connection: sqlite3.Connection) -> None:
    """Let a connection sync what it commits, hold foreign keys, and know the case of all letters."""
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    teach_case(connection)


def tighten_all(path: Path) -> None:
    """Let nobody but its owner read or write a database, and what lies beside it."""
    for each in (*(Path(f"{path}{suffix}") for suffix in COMPANIONS), *path.parent.glob(f"{escape(path.name)}.*-lock")):
        tighten(each)


def explained(error: sqlite3.Error, *paths: Path, full: bool = False) -> sqlite3.Error:
    """The error with its path and what the system says, if it is about files; paths are of all databases in question.

    Where there is no room, its code is that of a full disk (SQLITE_FULL), whatever SQLite made of it. `full`: what is
    read-only is so for want of room.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    full = full and code & 0xFF == sqlite3.SQLITE_READONLY
    if code & 0xFF not in _OF_FILES or not paths:
        return error
    cause = None if code == sqlite3.SQLITE_FULL else next(filter(None, map(_hindrance, paths)), None)
    said = sqlite3.OperationalError(f"{error}: {cause or repr(str(paths[0]))}")
    said.sqlite_errorcode = sqlite3.SQLITE_FULL if full or (cause and cause.errno in NO_ROOM) else code
    return said


def is_full(error: sqlite3.Error) -> bool:
    """Whether there was no room."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _hindrance(path: Path) -> OSError | None:
    """What keeps a file beside the database from being written, or the database from being opened."""
    try:
        with TemporaryFile(dir=path.parent) as file:
            file.write(bytes(NEEDED_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return OSError(error.errno, error.strerror, str(path))
    if path.is_dir():
        return OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    for each in (f"{path}{suffix}" for suffix in COMPANIONS):
        if os.access(each, os.F_OK) and not os.access(each, os.R_OK | os.W_OK):
            return OSError(errno.EACCES, os.strerror(errno.EACCES), each)
    return None
