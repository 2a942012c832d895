"""Blobs in memory: for tests and trials, and as the disk that is full or broken on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Self

from modelyard.blobs._writer import HashingWriter
from modelyard.blobs.store import (
    BlobMissing,
    BlobStat,
    Digest,
    Leftover,
    StoreFull,
    StoreUnavailable,
    check_digest,
    check_range,
)


class MemoryBlobReader:
    """The bytes of one blob, which outlive its deletion."""

    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content
        self.size = len(content)

    def read(self, offset: int, length: int) -> bytes:
        """See `BlobReader.read`."""
        check_range(offset, length)
        content = self._content
        if content is None:
            raise ValueError("the reader is closed")
        return content[offset : offset + length]

    def close(self) -> None:
        """See `BlobReader.close`."""
        self._content = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class MemoryBlobWriter(HashingWriter):
    """Bytes that the store counts, but does not show before they are published."""

    def __init__(self, store: MemoryBlobStore) -> None:
        super().__init__()
        self._store = store
        self._content = bytearray()
        self._reserved = 0

    def _append(self, chunks: Sequence[memoryview]) -> None:
        length = sum(map(len, chunks))
        self._store.reserve(length)
        self._reserved += length
        for chunk in chunks:
            self._content += chunk

    def _publish(self, digest: Digest) -> None:
        self._store.put(digest, bytes(self._content), reserved=self._reserved)
        self._reserved = 0

    def _republish(self, digest: Digest) -> None:
        if self._store.stat(digest) is None:
            self._store.reserve(self._size)
            self._reserved = self._size
            self._publish(digest)

    def _release(self) -> None:
        self._store.reserve(-self._reserved)
        self._content.clear()


class MemoryBlobStore:
    """A `BlobStore` without a disk.

    With `capacity`, a write that would make the blobs and the unfinished writes together exceed so many bytes raises
    StoreFull. While `broken` is set, `probe` raises StoreUnavailable. Both may be changed at any time.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.broken = False
        self._blobs: dict[Digest, tuple[bytes, float]] = {}
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Bytes of all blobs and of all unfinished writes."""
        return self._used

    def reserve(self, length: int) -> None:
        """Take `length` more bytes for a writer, or give them back if negative. Raises StoreFull."""
        with self._lock:
            if self.capacity is not None and length > 0 and self._used + length > self.capacity:
                raise StoreFull(f"{self._used} of {self.capacity} bytes are taken, {length} more do not fit")
            self._used += length

    def put(self, digest: Digest, content: bytes, reserved: int) -> None:
        """Show a writer's bytes, whose reservation passes to the blob."""
        with self._lock:
            replaced, _ = self._blobs.get(digest, (b"", 0.0))
            self._blobs[digest] = (content, time.time())
            self._used += len(content) - len(replaced) - reserved

    def begin(self) -> MemoryBlobWriter:
        """See `BlobStore.begin`."""
        return MemoryBlobWriter(self)

    def open(self, digest: Digest) -> MemoryBlobReader:
        """See `BlobStore.open`."""
        check_digest(digest)
        with self._lock:
            if digest not in self._blobs:
                raise BlobMissing(digest)
            return MemoryBlobReader(self._blobs[digest][0])

    def stat(self, digest: Digest) -> BlobStat | None:
        """See `BlobStore.stat`."""
        check_digest(digest)
        with self._lock:
            if digest not in self._blobs:
                return None
            content, modified = self._blobs[digest]
            return BlobStat(digest, len(content), modified)

    def delete(self, digest: Digest) -> bool:
        """See `BlobStore.delete`."""
        check_digest(digest)
        with self._lock:
            if digest not in self._blobs:
                return False
            content, _ = self._blobs.pop(digest)
            self._used -= len(content)
            return True

    def list(self) -> Iterator[BlobStat]:
        """See `BlobStore.list`."""
        with self._lock:
            blobs = sorted(self._blobs.items())
        for digest, (content, modified) in blobs:
            yield BlobStat(digest, len(content), modified)

    def leftovers(self) -> Iterator[Leftover]:
        """See `BlobStore.leftovers`: none, as every writer dies with the store."""
        return iter(())

    def remove_leftover(self, name: str) -> bool:  # noqa: ARG002 - as the protocol has it
        """See `BlobStore.remove_leftover`: there is none."""
        return False

    def probe(self) -> None:
        """See `BlobStore.probe`."""
        if self.broken:
            raise StoreUnavailable("the store is set to be broken")
