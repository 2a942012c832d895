"""What tests of the registry share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.registry.engine import Database
from tests.databases import migrated_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new database of the kind that the tests run on."""
    made = Database(migrated_database(tmp_path))
    yield made
    made.close()
