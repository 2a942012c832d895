"""Which database the tests run on: SQLite, or PostgreSQL where MODELYARD_TEST_DATABASE says so."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from tests import postgres

ON_POSTGRESQL = os.environ.get("MODELYARD_TEST_DATABASE") == "postgresql"


def database_url(folder: Path, *, migrated: bool = True) -> str:
    """The URL of the database that belongs to a folder; a new one, with the newest schema if it can be had cheaply."""
    return _postgresql(folder, migrated) if ON_POSTGRESQL else f"sqlite:///{folder}/modelyard.db"


@cache
def _postgresql(_folder: Path, migrated: bool) -> str:
    return postgres.cluster().fresh(migrated=migrated)
