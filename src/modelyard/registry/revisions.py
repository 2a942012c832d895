"""Which revision of the schema a database is at. Without Alembic, whose import is a tenth of a start."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Engine, column, inspect, select, table

PACKAGE = Path(__file__).resolve().parent.parent
_REVISIONS = table("alembic_version", column("version_num"))


def migrations_folder() -> Path:
    """Where the revisions lie: inside an installed package, or at the top of the repository."""
    packaged = PACKAGE / "migrations"
    return packaged if packaged.is_dir() else PACKAGE.parent.parent / "migrations"


@cache
def newest_revision() -> str:
    """The revision that this program needs: files are named `<revision>_<subject>.py`, and numbered."""
    return max(path.name.partition("_")[0] for path in (migrations_folder() / "versions").glob("[0-9]*.py"))


def is_current(engine: Engine) -> bool:
    """Whether the database is at the newest revision."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(_REVISIONS.name):
            return False
        return connection.scalar(select(_REVISIONS.c.version_num)) == newest_revision()
