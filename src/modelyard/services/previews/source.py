"""Bytes of a file that is looked into, and what is found wrong in it."""

from __future__ import annotations

from typing import Protocol

TEXT_BYTES = 200_000  # of a text are shown
HEADER_BYTES = 100_000_000  # that a header may have, as safetensors' own reader has it
READ_BYTES = 1024 * 1024  # at once


class Faulty(Exception):
    """A file that is not what its name says; the message says why, for people."""


class Source(Protocol):
    """A file."""

    @property
    def size(self) -> int:
        """Bytes of the whole file."""

    def read(self, offset: int, length: int) -> bytes:
        """The `length` bytes from `offset` on, fewer only where the file ends."""


class Cursor:
    """Reads a file forwards, in few large reads, and no further than `limit`."""

    def __init__(self, source: Source, offset: int = 0, limit: int = HEADER_BYTES) -> None:
        self.offset = offset
        self._source = source
        self._limit = limit
        self._begin, self._window = offset, b""

    def take(self, length: int) -> bytes:
        """The next bytes. Raises Faulty where the file, or what may be read of it, ends before."""
        self._hold(length)
        start = self.offset - self._begin
        if start + length > len(self._window):
            self._begin, start = self.offset, 0
            self._window = self._source.read(self.offset, max(length, READ_BYTES))
        if start + length > len(self._window):
            raise Faulty("The file ends within its header")
        self.offset += length
        return self._window[start : start + length]

    def skip(self, length: int) -> None:
        """Go past bytes without reading them, but for those that are here already. Raises as `take` does."""
        self._hold(length)
        self.offset += length

    def _hold(self, length: int) -> None:
        end = self.offset + length
        if end > self._source.size:
            raise Faulty("The header says more than the file has")
        if end > self._limit:
            raise Faulty(f"The header is larger than {self._limit // 1_000_000} MB")
