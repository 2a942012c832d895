"""A blob store that tells how long each of its steps takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Self, TypeVar

from modelyard.blobs.store import BlobReader, BlobStat, BlobStore, BlobWriter, Buffer, Digest, Leftover, SendingReader

T = TypeVar("T")

Observe = Callable[[str, float], None]  # with the step's name and its seconds


class TimedStore:
    """The steps of transfers are told: `begin`, `write`, `publish`, `open` and `read`, also when they fail."""

    def __init__(self, store: BlobStore, observe: Observe) -> None:
        self._store = store
        self._observe = observe

    def begin(self) -> BlobWriter:
        """See `BlobStore`."""
        return _TimedWriter(_timed(self._observe, "begin", self._store.begin), self._observe)

    def open(self, digest: Digest) -> BlobReader:
        """See `BlobStore`."""
        return _TimedReader(_timed(self._observe, "open", self._store.open, digest), self._observe)

    def stat(self, digest: Digest) -> BlobStat | None:
        """See `BlobStore`."""
        return self._store.stat(digest)

    def delete(self, digest: Digest) -> bool:
        """See `BlobStore`."""
        return self._store.delete(digest)

    def list(self) -> Iterator[BlobStat]:
        """See `BlobStore`."""
        return self._store.list()

    def leftovers(self) -> Iterator[Leftover]:
        """See `BlobStore`."""
        return self._store.leftovers()

    def remove_leftover(self, name: str) -> bool:
        """See `BlobStore`."""
        return self._store.remove_leftover(name)

    def probe(self) -> None:
        """See `BlobStore`."""
        self._store.probe()


class _TimedWriter:
    def __init__(self, writer: BlobWriter, observe: Observe) -> None:
        self._writer = writer
        self._observe = observe
        self.digest = writer.digest
        self.close = writer.close

    @property
    def size(self) -> int:
        return self._writer.size

    def write(self, chunks: Sequence[Buffer]) -> None:
        _timed(self._observe, "write", self._writer.write, chunks)

    def publish(self) -> None:
        _timed(self._observe, "publish", self._writer.publish)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _TimedReader:
    def __init__(self, reader: BlobReader, observe: Observe) -> None:
        self._reader = reader
        self._observe = observe
        self.size = reader.size
        if isinstance(reader, SendingReader):
            self.send = partial(_timed, observe, "read", reader.send)
        self.close = reader.close

    def read(self, offset: int, length: int) -> bytes:
        return _timed(self._observe, "read", self._reader.read, offset, length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _timed(observe: Observe, step: str, work: Callable[..., T], *arguments: object) -> T:
    begun = time.perf_counter()
    try:
        return work(*arguments)
    finally:
        observe(step, time.perf_counter() - begun)
