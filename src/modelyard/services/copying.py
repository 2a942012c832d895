"""Moving from one blob store to another, beside a running server."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from modelyard.blobs.store import BlobMissing, BlobStat, BlobStore

AT_ONCE = 4  # so that small blobs do not wait for each other's round trips
LISTED_AHEAD = 64
BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Copy:
    """A blob that was `copied`, or that was not as its bytes are `damaged`; `size` in bytes."""

    outcome: str
    sha256: str
    size: int


def copy_blobs(source: BlobStore, target: BlobStore) -> Iterator[Copy]:
    """Copy every blob that the target has not, or has in another size, by ascending digest as they get ready.

    Every byte that is copied is hashed on its way, and nothing is published under a digest that it has not. A copy that
    was interrupted goes on where it stopped when it is run again, and takes along what came in between.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="copy") as executor:
        ahead: deque[Future[Copy | None]] = deque()
        try:
            for blob in source.list():
                ahead.append(executor.submit(_copy, source, target, blob))
                if len(ahead) >= LISTED_AHEAD:
                    yield from _landed(ahead.popleft())
            while ahead:
                yield from _landed(ahead.popleft())
        finally:
            for waiting in ahead:
                waiting.cancel()


def _landed(copying: Future[Copy | None]) -> Iterator[Copy]:
    copied = copying.result()
    if copied is not None:
        yield copied


def _copy(source: BlobStore, target: BlobStore, blob: BlobStat) -> Copy | None:
    there = target.stat(blob.digest)
    if there is not None and there.size == blob.size:
        return None
    try:
        reader = source.open(blob.digest)
    except BlobMissing:
        return None  # deleted since it was listed
    with reader, target.begin() as writer:
        while block := reader.read(writer.size, BLOCK_BYTES):
            writer.write([block])
        if writer.digest() != blob.digest:
            return Copy("damaged", blob.digest, reader.size)
        writer.publish()
        return Copy("copied", blob.digest, writer.size)
