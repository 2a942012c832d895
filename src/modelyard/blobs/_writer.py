"""The states of a writer, the same for every store: open, published, closed."""

from __future__ import annotations

import hashlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from modelyard.blobs._sha256 import Hasher
from modelyard.blobs.store import Buffer, Digest, WriterClosed


class HashingWriter(ABC):
    """A `BlobWriter` that hashes, counts and locks, and leaves only the storing to its subclass.

    The abstract methods are called under the lock, and after one of them raised only `_release` is.
    """

    def __init__(self, hasher: Hasher | None = None, size: int = 0) -> None:
        """A writer of a new blob, or one that goes on after `size` bytes that `hasher` has taken."""
        self._lock = threading.Lock()
        self._hash = hasher or hashlib.sha256()
        self._size = size
        self._published = False
        self._closed = False

    @abstractmethod
    def _append(self, chunks: Sequence[memoryview]) -> None:
        """Store the chunks, each one-dimensional and of bytes, behind the earlier ones."""

    @abstractmethod
    def _publish(self, digest: Digest) -> None:
        """Make the bytes durable and visible."""

    @abstractmethod
    def _republish(self, digest: Digest) -> None:
        """Make sure that the bytes, once published, are still visible."""

    @abstractmethod
    def _release(self) -> None:
        """Give up what is held and what was not published; called once, never raises."""

    @property
    def size(self) -> int:
        """See `BlobWriter.size`."""
        return self._size

    def write(self, chunks: Sequence[Buffer]) -> None:
        """See `BlobWriter.write`."""
        with self._lock:
            self._require_open()
            if self._published:
                raise WriterClosed("a published blob cannot grow")
            with self._closing_on_failure():
                views = [memoryview(chunk).cast("B") for chunk in chunks]
                self._append(views)
                for view in views:
                    self._hash.update(view)
                self._size += sum(map(len, views))

    def digest(self) -> Digest:
        """See `BlobWriter.digest`."""
        with self._lock:
            return self._digest()

    def publish(self) -> None:
        """See `BlobWriter.publish`."""
        with self._lock:
            self._require_open()
            with self._closing_on_failure():
                if self._published:
                    self._republish(self._digest())
                else:
                    self._publish(self._digest())
            self._published = True

    def close(self) -> None:
        """See `BlobWriter.close`."""
        with self._lock:
            self._close()

    def _digest(self) -> Digest:
        return self._hash.hexdigest()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._release()

    def _require_open(self) -> None:
        if self._closed:
            raise WriterClosed("the writer is closed")

    @contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        # After half a write the bytes no longer match the hash, and a second fsync may report success for pages that
        # the first one failed to write: nothing can be saved by trying again.
        try:
            yield
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
