"""Which revision of the schema a database is at. Without Alembic, whose import is a tenth of a start."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, column, inspect, select, table

PACKAGE = Path(__file__).resolve().parent.parent
_REVISIONS = table("alembic_version", column("version_num"))


def migrations_folder() -> Path:
    """Where the revisions lie: inside an installed package, or at the top of the repository."""
    packaged = PACKAGE / "migrations"
    return packaged if packaged.is_dir() else PACKAGE.parent.parent / "migrations"


class NewerDatabase(Exception):
    """Another program has migrated the database to a revision that this one does not know."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"the database is at revision {revision}, this version of modelyard knows {newest_revision()}: "
            "start the newer version, or restore the backup from before"
        )


@cache
def newest_revision() -> str:
    """The revision that this program needs: files are named `<revision>_<subject>.py`, and numbered."""
    return max(path.name.partition("_")[0] for path in (migrations_folder() / "versions").glob("[0-9]*.py"))


def revision_of(connection: Connection) -> str | None:
    """The revision that a database is at; None where it has none. Raises NewerDatabase."""
    if not inspect(connection).has_table(_REVISIONS.name):
        return None
    found: str | None = connection.scalar(select(_REVISIONS.c.version_num))
    if found is not None and found > newest_revision():
        raise NewerDatabase(found)
    return found


def is_current(engine: Engine) -> bool:
    """Whether the database is at the newest revision. Raises NewerDatabase."""
    with engine.connect() as connection:
        return revision_of(connection) == newest_revision()
