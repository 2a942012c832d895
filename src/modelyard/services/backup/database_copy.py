"""Moving a registry's database to another place, or to another kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from modelyard.errors import CommandError
from modelyard.registry.engine import Database, analyze
from modelyard.registry.moving import CopiedTable, copy_rows, empty
from modelyard.registry.revisions import is_current
from modelyard.registry.schema import changing, migrate


def copy_database(source_url: str, target_url: str) -> list[CopiedTable]:
    """Copy all rows, as they are at one moment, in one transaction; what is written to the source later is not copied.

    The target is brought to the newest revision first, which the source must be at. Raises CommandError where it is
    not, where the target has more than a first start makes, or does not take a row; SQLAlchemyError. Then the target
    is as it was.
    """
    _refuse_absent(source_url)
    with _opened(source_url) as source, _opened(target_url) as target:
        if not is_current(source.engine):
            raise CommandError("the source is not migrated; run `modelyard migrate` on it first")
        migrate(target.engine)
        with source.reading() as registry, changing(target.engine) as connection:
            reading = registry.session.connection()
            empty(connection)
            copied = list(copy_rows(reading, connection))
        analyze(target.engine)
    return copied


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def _refuse_absent(url: str) -> None:
    """SQLite makes a database where there is none."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite" and not Path(parts.database or "").exists():
        raise CommandError(f"there is no database {parts.database}")
