"""The contract of a blob store: immutable bytes, named by their SHA-256.

Every call blocks, so callers on an event loop make it in a worker thread. What goes wrong is one of:

    BlobError
    ├── BlobMissing       no blob of that digest
    ├── StoreFull         no room for the bytes
    ├── StoreUnavailable  the store cannot be used: damaged, read-only, forbidden, gone
    │   └── BlobUnreadable    this blob cannot be read, others may be
    └── WriterClosed      the writer has ended, or its blob is published and cannot grow
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeAlias, runtime_checkable

Buffer: TypeAlias = bytes | bytearray | memoryview

Digest: TypeAlias = str
"""A SHA-256 as 64 lower-case hexadecimal digits."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobError(Exception):
    """Anything that a blob store refuses or fails to do."""


class BlobMissing(BlobError):
    """No blob has the digest."""


class NoDigest(BlobError, ValueError):
    """What stands where a digest should is none."""


class StoreFull(BlobError):
    """There is no room for the bytes: disk, quota or largest file size."""


class StoreUnavailable(BlobError):
    """The store cannot be used; the cause says why."""


class BlobUnreadable(StoreUnavailable):
    """The bytes of one blob cannot be read, say for a bad sector; the cause says why."""


class WriterClosed(BlobError):
    """The writer takes nothing more."""


@dataclass(frozen=True, slots=True)
class BlobStat:
    """A blob as it is listed: `size` in bytes, `modified` (when it was last written) in seconds since 1970."""

    digest: Digest
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Leftover:
    """A write that nobody will finish: `size` in bytes, `modified` (its last write) in seconds since 1970.

    `upload`: the name of the upload that goes on, if it is one whose name is known (see `resumable`).
    """

    name: str
    size: int
    modified: float
    upload: str | None = None


class BlobWriter(Protocol):
    """Bytes on their way into the store, invisible until they are published.

    Calls from several threads wait for each other. A `write` or `publish` that fails ends the writer as `close`
    does: what it wrote is released at once, and only `close`, `size` and `digest` may follow.
    """

    @property
    def size(self) -> int:
        """Bytes written so far; never waits for a running write."""
        ...

    def write(self, chunks: Sequence[Buffer]) -> None:
        """Append the chunks in their order; each is contiguous, and is the writer's from then on: it must not change.

        Views of the chunks are released as soon as their bytes are written.

        Raises WriterClosed after `publish`, `close` or a failure; StoreFull; StoreUnavailable.
        """
        ...

    def digest(self) -> Digest:
        """The SHA-256 of what was written so far; undefined after a write that failed."""
        ...

    def publish(self) -> None:
        """Make the bytes durable and then visible under their digest; a blob of that digest is replaced.

        Calling it again is allowed until `close`, and puts the blob back if it was deleted in between: whoever
        records a digest while a collector runs publishes once more afterwards. When it fails, it is undefined
        whether the blob is visible; it must not be relied on.

        Raises WriterClosed after `close` or a failure; StoreFull; StoreUnavailable.
        """
        ...

    def close(self) -> None:
        """Release everything; bytes that were never published are gone. May be repeated, and never raises."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class BlobReader(Protocol):
    """An open blob. It stays readable until it is closed, even when the blob is deleted or replaced meanwhile."""

    @property
    def size(self) -> int:
        """Bytes of the whole blob."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """The `length` bytes from `offset` on, fewer only where the blob ends; from any thread.

        Raises ValueError for a negative argument or a closed reader; BlobUnreadable; StoreUnavailable.
        """
        ...

    def close(self) -> None:
        """Release the blob, after a running read has ended. May be repeated, and never raises."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


@runtime_checkable
class SendingReader(BlobReader, Protocol):
    """A reader that can also send its bytes to a socket, in the thread that reads them."""

    def send(self, socket: int, offset: int, length: int) -> int:
        """Send up to `length` bytes from `offset` on, and return how many went: 0 where the blob ends.

        Raises BlockingIOError where the socket has no room, any other OSError, and as `read`.
        """
        ...


class BlobStore(Protocol):
    """A set of blobs. Any number of threads and processes may use it at the same time.

    A digest that is not one raises ValueError; every method may raise StoreUnavailable.
    """

    def begin(self) -> BlobWriter:
        """A writer for one new blob; the caller closes it. Raises StoreFull."""
        ...

    def open(self, digest: Digest) -> BlobReader:
        """A reader of the blob; the caller closes it. Raises BlobMissing and BlobUnreadable."""
        ...

    def stat(self, digest: Digest) -> BlobStat | None:
        """Size and age of the blob, or None where there is none."""
        ...

    def delete(self, digest: Digest) -> bool:
        """Remove the blob; False where there is none. Undefined: whether the removal outlives a power failure."""
        ...

    def list(self) -> Iterator[BlobStat]:
        """Every blob, by ascending digest. Undefined: whether those that come or go meanwhile are among them."""
        ...

    def leftovers(self) -> Iterator[Leftover]:
        """Unfinished writes whose owner is gone, say with a killed process; never those of a living writer."""
        ...

    def remove_leftover(self, name: str) -> bool:
        """Remove an unfinished write; False where there is none of that name, or where it has an owner."""
        ...

    def probe(self) -> None:
        """Return if the store can take bytes at this moment, else raise BlobError. Cheap, and leaves nothing."""
        ...


def check_digest(digest: Digest) -> None:
    """Raise NoDigest unless `digest` is the canonical text of a SHA-256."""
    if not _DIGEST.fullmatch(digest):
        raise NoDigest(f"not a SHA-256 in lower-case hexadecimal: {digest!r}")


def is_digest(name: str) -> bool:
    """Whether `name` is the canonical text of a SHA-256."""
    return _DIGEST.fullmatch(name) is not None


def check_range(offset: int, length: int) -> None:
    """Raise ValueError for what cannot be a range of a blob."""
    if offset < 0 or length < 0:
        raise ValueError(f"offset and length must not be negative: {offset}, {length}")
