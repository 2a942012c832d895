"""A registry that commands work on."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.services.people.setup import prepare
from modelyard.settings import Settings
from tests.databases import migrated_database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a registry in `data`, as the first start leaves it."""
    data = tmp_path / "data"
    prepare(Settings(_env_file=None, data_dir=data, database_url=migrated_database(data)))  # type: ignore[call-arg]
    return tmp_path
