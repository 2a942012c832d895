"""The command `modelyard` as a process that works in a folder, with no settings of the tester's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.databases import ON_POSTGRESQL, database_url

COMMAND = Path(sys.executable).with_name("modelyard")


def environment_of(folder: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of a process in the folder: its database is of the kind that the tests run on, and it is empty."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}
    if ON_POSTGRESQL:
        clean["MODELYARD_DATABASE_URL"] = database_url(folder / "data", migrated=False)
    return clean | dict(variables or {})


def run(folder: Path, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command with settings, given without `MODELYARD_`, to its end."""
    environment = environment_of(folder, {f"MODELYARD_{name}": value for name, value in settings.items()})
    return subprocess.run(
        [COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
