"""Contents of files that cost little to make, can be made again from a seed, and are all different."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

KIB = 1024
MIB = 1024 * KIB
SMALLEST, LARGEST = 1 * KIB, 64 * MIB
CHUNK_BYTES = 256 * KIB
MARK_BYTES = 16


@dataclass(frozen=True)
class Content:
    """A mark of its own and a slice of random bytes that all contents share."""

    mark: bytes
    rest: memoryview

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.mark) + len(self.rest)

    @cached_property
    def sha256(self) -> str:
        """The digest in hexadecimal."""
        digest = hashlib.sha256(self.mark)
        digest.update(self.rest)
        return digest.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """All bytes, in pieces as a client would read them from a file."""
        yield self.mark
        for start in range(0, len(self.rest), CHUNK_BYTES):
            yield bytes(self.rest[start : start + CHUNK_BYTES])


class Contents:
    """Where uploaders take contents from; some are popular, so that equal bytes meet."""

    def __init__(self, seed: int, largest: int = LARGEST, popular: int = 6) -> None:
        chance = random.Random(f"{seed}/contents")
        self.largest = largest
        self._pool = memoryview(chance.randbytes(largest))
        self.popular = [self.new(chance) for _ in range(popular)]

    def new(self, chance: random.Random) -> Content:
        """A content that nobody had before, as likely between 1 and 2 KiB as between 32 and 64 MiB."""
        size = int(SMALLEST * (self.largest / SMALLEST) ** chance.random())
        start = chance.randrange(self.largest - size + 1)
        return Content(chance.randbytes(MARK_BYTES), self._pool[start : start + size - MARK_BYTES])
