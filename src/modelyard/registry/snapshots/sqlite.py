"""Copies of SQLite's file, by its online backup API (sqlite.org/backup.html)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.pool import NullPool

from modelyard.disk.durable import fsync_file, make_directories, rename_to_new
from modelyard.errors import CommandError
from modelyard.registry.backends.sqlite import BUSY_TIMEOUT_SECONDS
from modelyard.registry.backends.sqlite_files import COMPANIONS, create_database, explained
from modelyard.registry.engine import make_engine
from modelyard.registry.schema import migrate
from modelyard.registry.snapshots.base import LEFT_OUT, Snapshot, Snapshots, disposed

RESTORING_SUFFIX = ".restoring"


class SQLiteSnapshots(Snapshots):
    """A copy is a database file of its own, without a log beside it."""

    kind = "sqlite"
    suffix = ".sqlite"

    @contextmanager
    def taken(self, path: Path) -> Iterator[Snapshot]:
        """See `Snapshots.taken`."""
        with (
            _sqlite_errors(path, self._file()),
            closing(sqlite3.connect(self._file(), timeout=BUSY_TIMEOUT_SECONDS)) as source,
            closing(sqlite3.connect(path)) as target,
        ):
            source.backup(target)  # in one step, so that no writer makes it begin again
            target.execute("PRAGMA journal_mode=DELETE")
            _leave_out(target)
            # A damaged database must not take the place of an earlier good copy.
            fault = target.execute("PRAGMA quick_check(1)").fetchone()[0]
            if fault != "ok":
                raise sqlite3.DatabaseError(fault.splitlines()[-1])
        url = URL.create("sqlite", database=str(path))
        with disposed(create_engine(url, poolclass=NullPool)) as engine, engine.connect() as connection:
            yield Snapshot(connection)

    def refuse_unless_empty(self) -> None:
        """See `Snapshots.refuse_unless_empty`: there must be no file, nor a log beside it."""
        for suffix in COMPANIONS:
            path = Path(f"{self._file()}{suffix}")
            if path.exists():
                raise CommandError(f"{path} exists already")

    def put_back(self, path: Path) -> None:
        """See `Snapshots.put_back`. What an interrupted attempt left beside the file is replaced."""
        final = self._file().absolute()
        make_directories(final.parent)
        restoring = final.with_name(f"{final.name}{RESTORING_SUFFIX}")
        for suffix in COMPANIONS:
            Path(f"{restoring}{suffix}").unlink(missing_ok=True)
        _copy(path, restoring)
        _migrate(restoring)
        try:
            rename_to_new(restoring, final)  # or a database would be replaced that was made meanwhile
        except FileExistsError as error:
            raise CommandError(f"{final} exists already") from error

    def _file(self) -> Path:
        return Path(make_url(self.url).database or "")


def _leave_out(copy: sqlite3.Connection) -> None:
    there = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    with copy:
        for table in LEFT_OUT:
            if table in there:
                copy.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of ours


@contextmanager
def _sqlite_errors(*paths: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise CommandError(f"database: {explained(error, *paths)}") from error
    except sqlite3.DatabaseError as error:
        raise CommandError(f"the database is damaged: {error}") from error


def _copy(source: Path, target: Path) -> None:
    create_database(target)
    with (
        _sqlite_errors(target, source),
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as copy,
        closing(sqlite3.connect(target)) as database,
    ):
        database.execute("PRAGMA synchronous=FULL")
        copy.backup(database)


def _migrate(path: Path) -> None:
    """Bring a database to the newest revision, and all of it durably into its one file."""
    with disposed(make_engine(f"sqlite:///{path}")) as engine:
        migrate(engine)
    with _sqlite_errors(path), closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=DELETE")
    fsync_file(path)
