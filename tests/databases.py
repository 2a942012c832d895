"""Which database the tests run on: SQLite, or PostgreSQL where MODELYARD_TEST_DATABASE says so."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import text

from modelyard.registry.engine import make_engine
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


def execute(data: Path, statement: str) -> Sequence[Any]:
    """Run one statement behind a registry's back; the answer is the rows that it gives."""
    engine = make_engine(database_url(data))
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return result.fetchall() if result.returns_rows else ()
    finally:
        engine.dispose()
