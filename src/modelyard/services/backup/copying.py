"""Moving blobs from one store to another, beside a running server."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from modelyard.blobs.linking import linker
from modelyard.blobs.store import BlobMissing, BlobReader, BlobStore, StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 4  # so that small blobs do not wait for each other's round trips
LISTED_AHEAD = 64
BLOCK_BYTES = 4 << 20

PRESENT, LINKED, COPIED = "present", "linked", "copied"
MISSING, DAMAGED = "missing", "damaged"


@dataclass(frozen=True, slots=True)
class Copy:
    """What became of a blob of `size` bytes in the target.

    It is `present` (it was there already), `linked` or `copied`; or it is not there, as in the source it is `missing`,
    or `damaged`: its bytes are not what they were, or cannot be read.
    """

    outcome: str
    sha256: str
    size: int

    @property
    def failed(self) -> bool:
        """Whether the target has no such blob."""
        return self.outcome in (MISSING, DAMAGED)


class Carrier:
    """Brings blobs into another store, where nothing gets under a digest that it has not.

    `links`: by hard link, where both are folders of one file system. Then the bytes are hashed only if `verify_links`
    says so, and `sync` makes all links durable.
    """

    def __init__(self, source: BlobStore, target: BlobStore, *, links: bool = False, verify_links: bool = True) -> None:
        self._source = source
        self._target = target
        self._linker = linker(source, target) if links else None
        self._verify_links = verify_links

    def carry(self, blob: tuple[str, int]) -> Copy:
        """Bring a blob, given by its digest and size, unless it is there in that size; safe in several threads."""
        digest, size = blob
        there = self._target.stat(digest)
        if there is not None and there.size == size:
            return Copy(PRESENT, digest, size)
        try:
            with self._source.open(digest) as reader:
                if reader.size != size:
                    return Copy(DAMAGED, digest, reader.size)
                return Copy(self._bring(digest, reader), digest, size)
        except BlobMissing:
            return Copy(MISSING, digest, size)
        except _Unreadable:
            return Copy(DAMAGED, digest, size)

    def sync(self) -> None:
        """Make what was linked durable."""
        if self._linker is not None:
            self._linker.sync()

    def _bring(self, digest: str, reader: BlobReader) -> str:
        if self._linker is None:
            return self._copy(digest, reader)
        if self._verify_links and _digest_of(reader) != digest:
            return DAMAGED
        return LINKED if self._linker.link(digest) else self._copy(digest, reader)

    def _copy(self, digest: str, reader: BlobReader) -> str:
        with self._target.begin() as writer:
            for block in _blocks(reader):
                writer.write([block])
            if writer.digest() != digest:
                return DAMAGED
            writer.publish()
        return COPIED


def copy_blobs(source: BlobStore, target: BlobStore) -> Iterator[Copy]:
    """Copy every blob that the target has not, or has in another size, by ascending digest as they get ready.

    Every byte that is copied is hashed on its way. A copy that was interrupted goes on where it stopped when it is run
    again, and takes along what came in between. What is deleted meanwhile is passed over.
    """
    carrier = Carrier(source, target)
    for copy in in_order(carrier.carry, ((blob.digest, blob.size) for blob in source.list())):
        if copy.outcome in (COPIED, DAMAGED):
            yield copy


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The results of `work`, a few at once, in the order of the items, few of which are taken ahead."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="copy") as executor:
        ahead: deque[Future[R]] = deque()
        try:
            for item in items:
                ahead.append(executor.submit(work, item))
                if len(ahead) >= LISTED_AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for waiting in ahead:
                waiting.cancel()


class _Unreadable(Exception):
    """A blob that was opened cannot be read to its end."""


def _blocks(reader: BlobReader) -> Iterator[bytes]:
    offset = 0
    while block := _block(reader, offset):
        yield block
        offset += len(block)


def _block(reader: BlobReader, offset: int) -> bytes:
    try:
        return reader.read(offset, BLOCK_BYTES)
    except StoreUnavailable as error:
        raise _Unreadable from error


def _digest_of(reader: BlobReader) -> str:
    digest = hashlib.sha256()
    for block in _blocks(reader):
        digest.update(block)
    return digest.hexdigest()
