"""Which tests share a worker: those of a file, all that ask for Swift, which takes six seconds of CPU to start, and all
that ask beside MLflow's own server, which takes eight.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadFileScheduling

TESTS = Path(__file__).parent
SWIFT = "swift"
MLFLOW_SERVER = "mlflow_url"


class Scheduling(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """By files, but those of Swift together, and those of MLflow's server."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(super()._split_scope(nodeid))


@cache
def scope_of(path: str) -> str:
    """What a test file, by its path below the repository, shares a worker with."""
    file = TESTS.parent / path
    fixtures = file.with_name("conftest.py")
    texts = [each.read_text() for each in (file, fixtures) if each.exists() and each.parent != TESTS]
    if any(MLFLOW_SERVER in text for text in texts[:1]):
        return MLFLOW_SERVER
    return SWIFT if any(re.search(rf"\b{SWIFT}\b", text) for text in texts) else path
