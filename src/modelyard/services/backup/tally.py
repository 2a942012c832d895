"""What became of the blobs of a backup or a restore."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from modelyard.services.backup.copying import COPIED, LINKED, PRESENT, Copy
from modelyard.services.backup.manifest import Manifest

Watch: TypeAlias = Callable[[Iterable[Copy], int], Iterable[Copy]]
"""Passes on what becomes of blobs, of which there are so many in all, to show how far it is."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A backup, or one that was restored, and what was done: numbers of blobs, bytes of those that were copied."""

    manifest: Manifest
    linked: int
    copied: int
    copied_bytes: int
    present: int  # were there before
    removed: int  # are of no use to the backup any more
    faults: tuple[Copy, ...]


class Tally:
    """Counts what became of blobs, and notes those that are not there."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._copied_bytes = 0
        self.faults: list[Copy] = []

    def note(self, copy: Copy) -> None:
        """Count one blob."""
        self._outcomes[copy.outcome] += 1
        if copy.outcome == COPIED:
            self._copied_bytes += copy.size
        if copy.failed:
            self.faults.append(copy)

    def summary(self, manifest: Manifest, removed: int = 0) -> Summary:
        """All of it."""
        linked, copied, present = (self._outcomes[outcome] for outcome in (LINKED, COPIED, PRESENT))
        return Summary(manifest, linked, copied, self._copied_bytes, present, removed, tuple(self.faults))


def unwatched(copies: Iterable[Copy], _total: int) -> Iterable[Copy]:
    """Shows nothing."""
    return copies
