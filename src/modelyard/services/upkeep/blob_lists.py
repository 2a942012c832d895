"""Lists of blobs: a digest and a size a line, by ascending digest. Nothing here holds a list in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from modelyard.blobs.store import BlobStat
from modelyard.disk.naming import naming
from modelyard.errors import CommandError

_LINE = re.compile(r"([0-9a-f]{64}) ([0-9]{1,19})\n")


def write_list(path: Path, blobs: Iterable[tuple[str, int]]) -> tuple[int, int]:
    """Write digests and sizes to a list; how many there are, and how many bytes these blobs have together."""
    count = total = 0
    with naming(path), path.open("w", encoding="ascii") as file:
        for digest, size in blobs:
            file.write(f"{digest} {size}\n")
            count += 1
            total += size
    return count, total


def read_list(path: Path) -> Iterator[tuple[str, int]]:
    """The digests and sizes of a list. Raises CommandError at a line that is none of it."""
    with naming(path), path.open(encoding="ascii", errors="replace") as file:
        for number, line in enumerate(file, 1):
            found = _LINE.fullmatch(line)
            if found is None:
                raise CommandError(f"the backup is damaged: line {number} of {path.name} is no digest and size")
            yield found[1], int(found[2])


def not_among(blobs: Iterable[BlobStat], listed: Iterable[tuple[str, int]]) -> Iterator[BlobStat]:
    """Those of the blobs, which ascend as those of the list do, that the list does not have."""
    remaining = iter(listed)
    current = next(remaining, None)
    for blob in blobs:
        while current is not None and current[0] < blob.digest:
            current = next(remaining, None)
        if current is None or current[0] != blob.digest:
            yield blob
