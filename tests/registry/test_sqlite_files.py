"""SQLite's errors about files, which SQLite itself does not explain."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from structlog.testing import capture_logs

from modelyard.registry import lock_files
from modelyard.registry.backends import sqlite, sqlite_files, sqlite_full_disk
from modelyard.registry.backends.sqlite_files import explained
from modelyard.registry.backends.sqlite_full_disk import connect_alone
from modelyard.registry.dialects import is_out_of_space
from modelyard.registry.engine import Database
from modelyard.registry.lock_files import lock_file
from tests.disks import sqlite_error

pytestmark = pytest.mark.sqlite


def refusing(number: int) -> Callable[..., object]:
    def refuse(**_options: object) -> object:
        raise OSError(number, os.strerror(number), "of no interest")

    return refuse


@pytest.mark.parametrize(
    ("number", "full"),
    [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EFBIG, True), (errno.EIO, False), (errno.EROFS, False)],
)
@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_CANTOPEN])
def test_the_system_s_reason_is_told_and_a_lack_of_room_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, number: int, full: bool
) -> None:
    path = tmp_path / "x.db"
    monkeypatch.setattr(sqlite_files, "TemporaryFile", refusing(number))
    said = explained(sqlite_error(code), path)
    assert str(said) == f"disk I/O error: [Errno {number}] {os.strerror(number)}: '{path}'"
    assert is_out_of_space(DBAPIError(None, None, said)) is full


def test_without_a_reason_there_is_still_a_path(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    said = explained(sqlite_error(sqlite3.SQLITE_IOERR_READ), tmp_path / "x.db", tmp_path / "y.db")
    assert str(said) == f"disk I/O error: '{path}'"
    full = explained(sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full"), path)
    assert str(full) == f"database or disk is full: '{path}'"
    assert is_out_of_space(DBAPIError(None, None, full))


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_ERROR])
def test_what_is_not_about_files_is_left_alone(tmp_path: Path, code: int) -> None:
    error = sqlite_error(code)
    assert explained(error, tmp_path / "x.db") is error
    assert explained(sqlite_error(sqlite3.SQLITE_FULL)).args == ("disk I/O error",)


def test_a_folder_in_the_database_s_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db").mkdir()
    database = Database(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(OperationalError, match=f"file: .*Is a directory: '{tmp_path}/x.db'"):
        database.probe()
    database.close()


def test_a_database_in_memory_or_of_a_uri_has_no_file(tmp_path: Path) -> None:
    for url in ("sqlite:///:memory:", f"sqlite:///file:{tmp_path}/x.db?mode=rwc&uri=true"):
        database = Database(url)
        database.close_to_others()
        assert database.read_now(lambda registry: registry.session.scalar(text("SELECT 1"))) == 1
        database.close()
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_log_that_has_come_meanwhile_is_never_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path, log = tmp_path / "x.db", tmp_path / f"x.db{suffix}"
    path.write_bytes(b"of no database" * 100)
    sizes = [1, 0]

    def come(_error: sqlite3.Error) -> bool:
        log.write_bytes(bytes(sizes.pop(0)))
        return True

    monkeypatch.setattr(sqlite_full_disk, "is_full", come)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        connect_alone(path)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        connect_alone(path)
    assert sizes == []


def test_a_lock_that_cannot_be_made_is_an_error_unless_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError), lock_file(tmp_path / "nowhere" / "modelyard.db", "gc", on_full_disk=True):
        pass

    def full(*_arguments: object, **_options: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(lock_files, "open_private", full)
    with pytest.raises(OSError, match="No space"), lock_file(tmp_path / "modelyard.db", "gc"):
        pass
    with lock_file(tmp_path / "modelyard.db", "gc", on_full_disk=True) as held:
        assert held.try_lock()  # by nobody else either
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_a_database_that_can_be_read_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as SQLite's own answers go; disks that are full are in faults/test_full_disk.py."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t (a); INSERT INTO t VALUES (7)")
    real = sqlite_files.set_up
    full = [sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full")] * 2

    def set_up(connection: sqlite3.Connection) -> None:
        if full:
            raise full.pop()
        real(connection)

    monkeypatch.setattr(sqlite, "set_up", set_up)
    monkeypatch.setattr(sqlite_full_disk, "set_up", set_up)
    for left in (1, 0):  # what is tried first, and what is tried alone, have no room
        with capture_logs() as logs:
            database = Database(f"sqlite:///{path}", on_full_disk=True)
            assert database.read_now(lambda registry: registry.session.scalar(text("SELECT a FROM t"))) == 7
            database.close()
        assert [each["event"] for each in logs] == [
            "no room beside the database, which is closed to all others meanwhile"
        ]
        full[:] = [sqlite_error(sqlite3.SQLITE_FULL)] * left
    full.append(sqlite_error(sqlite3.SQLITE_CORRUPT, "malformed"))
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        connect_alone(path)


def test_who_finds_a_database_busy_waits_before_it_gets_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other, closing(sqlite3.connect(path, 0)) as connection:
        other.execute("CREATE TABLE t (a)")
        other.execute("BEGIN EXCLUSIVE")
        slept = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            other.execute("COMMIT")

        monkeypatch.setattr(time, "sleep", sleep)
        sqlite._enter_wal_mode(connection)
        assert len(slept) == 1
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", -1)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite._enter_wal_mode(connection)
