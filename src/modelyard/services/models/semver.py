"""Semantic versions, as strictly as GitLab reads them (semver.org 2.0.0)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

MAX_LENGTH = 255
MAX_NUMBER = 2**63 - 1
_NUMBER = r"(0|[1-9]\d*)"
_IDENTIFIERS = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIERS}(?:\.{_IDENTIFIERS})*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class SemanticVersion:
    """A version, split for ordering; build metadata lives in `text` alone."""

    text: str
    major: int
    minor: int
    patch: int
    prerelease: str = ""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The version, or None for anything that is not strictly one or has numbers beyond 64 bits."""
        match = _SEMVER.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if match is None:
            return None
        major, minor, patch = int(match[1]), int(match[2]), int(match[3])
        return cls(text, major, minor, patch, match[4] or "") if max(major, minor, patch) <= MAX_NUMBER else None

    @classmethod
    def first(cls) -> Self:
        """The version of a model that has none yet."""
        return cls("1.0.0", 1, 0, 0)

    @classmethod
    def following(cls, major: int, minor: int, patch: int) -> Self:
        """The next patch after a version."""
        return cls(f"{major}.{minor}.{patch + 1}", major, minor, patch + 1)
