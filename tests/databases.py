"""Which database the tests run on: SQLite, or PostgreSQL where MODELYARD_TEST_DATABASE says so."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import text

from modelyard.disk.private import create_private
from modelyard.registry.engine import make_engine
from modelyard.registry.schema import migrate
from tests import postgres

ON_POSTGRESQL = os.environ.get("MODELYARD_TEST_DATABASE") == "postgresql"

_made: dict[Path, str] = {}


def database_url(data: Path, *, migrated: bool = True) -> str:
    """The URL of the database of a data folder; a new one has the newest schema, if it can be had cheaply."""
    if not ON_POSTGRESQL:
        return f"sqlite:///{data}/modelyard.db"
    if data not in _made:
        _made[data] = postgres.cluster().fresh(migrated=migrated)
    return _made[data]


def migrated_database(data: Path) -> str:
    """The URL of the database of a data folder, with the newest schema: a new one is a copy, as to migrate takes a
    quarter of a second.
    """
    return database_url(data) if ON_POSTGRESQL else migrated_sqlite(data / "modelyard.db")


def migrated_sqlite(path: Path) -> str:
    """The URL of a file of SQLite's with the newest schema: what is there, or a copy."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(create_private(path), "wb") as file:
            file.write(_migrated_file())
    return f"sqlite:///{path}"


@cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "modelyard.db"
        engine = make_engine(f"sqlite:///{path}")
        migrate(engine)
        engine.dispose()
        return path.read_bytes()


def execute(data: Path, statement: str) -> Sequence[Any]:
    """Run one statement behind a registry's back; the answer is the rows that it gives."""
    engine = make_engine(database_url(data))
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return result.fetchall() if result.returns_rows else ()
    finally:
        engine.dispose()
