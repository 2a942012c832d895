"""Which tests share a worker: those of a file, and all that ask for Swift, which takes six seconds of CPU to start."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadFileScheduling

TESTS = Path(__file__).parent
SWIFT = "swift"


class Scheduling(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """By files, but those of Swift together."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(super()._split_scope(nodeid))


@cache
def scope_of(path: str) -> str:
    """What a test file, by its path below the repository, shares a worker with."""
    file = TESTS.parent / path
    fixtures = file.with_name("conftest.py")
    texts = [each.read_text() for each in (file, fixtures) if each.exists() and each.parent != TESTS]
    return SWIFT if any(re.search(rf"\b{SWIFT}\b", text) for text in texts) else path
