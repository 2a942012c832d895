"""How far the parts of an upload are one file already."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from modelyard.registry.tables import Upload


class Part(NamedTuple):
    """A part that is there, as a blob of its own."""

    number: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Joined:
    """How many bytes of the parts are in one file, and a mark of those that they are of."""

    size: int = 0
    mark: str = ""

    @classmethod
    def of(cls, parts: Sequence[Part], size: int) -> Self:
        """The first `size` bytes of these parts."""
        hasher, begin = hashlib.sha256(), 0
        for part in parts:
            if begin >= size:
                break
            hasher.update(f"{part.size} {part.sha256}\n".encode())
            begin += part.size
        return cls(size, hasher.hexdigest())

    @classmethod
    def recorded(cls, upload: Upload, parts: Sequence[Part]) -> Self:
        """What is recorded of an upload; nothing where it is of other parts, one of which was replaced since."""
        size, _, mark = upload.place.partition(" ")
        joined = cls(int(size or 0), mark)
        return joined if joined == cls.of(parts, joined.size) else cls()

    def encoded(self) -> str:
        """As it is recorded."""
        return f"{self.size} {self.mark}"
