"""What the database says, held against what is in the store, beside running uploads and downloads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import ClassVar

import structlog
from sqlalchemy.exc import DBAPIError

from modelyard.blobs.store import BlobMissing, BlobStat, BlobStore, BlobUnreadable
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.services.upkeep.pace import Pace
from modelyard.services.upkeep.results import Progress

log = structlog.get_logger()

READ_BYTES = 1024 * 1024
BATCH = 1000  # blobs of one look at the database
UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Finding:
    """A blob that is not what the database says: `missing`, `unreadable`, `size` (wrong length) or `digest` (other
    content).
    """

    EVENT: ClassVar = "blob damaged"
    ADVICE: ClassVar = "put the same bytes back from a backup, or upload the file again"

    fault: str
    sha256: str
    files: int  # package files that point at it

    def __str__(self) -> str:
        """For people."""
        return f"{self.fault}\t{self.sha256}\t{self.files} file(s)"


@dataclass(frozen=True, slots=True)
class Miscount:
    """A project whose bytes are not what the database has counted, which its limit is held against."""

    EVENT: ClassVar = "storage miscounted"
    ADVICE: ClassVar = "until it is right, only the project's limit is held against a wrong number"

    fault: str
    project: str  # its path
    counted: int  # bytes
    actual: int

    def __str__(self) -> str:
        """For people."""
        return f"{self.fault}\t{self.project}\t{self.counted} bytes counted, {self.actual} bytes there"


def check(
    database: Database,
    store: BlobStore,
    *,
    read: bool,
    pace: Pace | None = None,
    progress: Progress | None = None,
) -> Iterator[Finding]:
    """Compare every blob that a file points at with the store; `read` re-hashes the bytes, at the pace.

    What only `read` finds is remembered: without it, such a blob is reported too, and it is not served until it is
    right again. When the time is up it stops, though not within its first blob; `progress` tells where, and whether it
    came to the end. Uploads and deletions may go on meanwhile: a fault counts only if a file still points at the blob
    afterwards.
    """
    pace, progress = pace or Pace(), progress or Progress()
    damaged = database.read_now(lambda registry: registry.blobs.damaged())
    for at, (sha256, size) in enumerate(_referenced(database, progress.position)):
        if at and pace.is_over():
            return
        known = sha256 in damaged
        before = store.stat(sha256) if read else None
        fault = _fault(store, sha256, size, read=read, pace=pace, whole=at == 0)
        if fault == UNFINISHED:
            return
        progress.position, progress.size = sha256, pace.spent
        if before is not None and fault == (None if known else "digest"):
            _remember(database, store, before, damaged=not known)
        elif fault is None and known:
            fault = "digest"
        if fault is not None:
            files = database.read_now(partial(_references, sha256=sha256))
            if files:
                yield Finding(fault, sha256, files)
    progress.complete = True


def check_counts(database: Database) -> list[Miscount]:
    """Compare what is counted of each project's bytes with its files, all at one moment."""
    counts = database.read_now(lambda registry: registry.storage.miscounted())
    return [Miscount("storage", count.project, count.counted, count.actual) for count in counts]


def _referenced(database: Database, after: str) -> Iterator[tuple[str, int]]:
    """Digest and size of every blob that a file points at; neither all in memory nor in one long transaction."""
    while batch := database.read_now(partial(_batch, after=after)):
        yield from batch
        after = batch[-1][0]


def _batch(registry: Registry, *, after: str) -> list[tuple[str, int]]:
    return list(islice(registry.blobs.referenced(after), BATCH))


def _fault(store: BlobStore, sha256: str, size: int, *, read: bool, pace: Pace, whole: bool) -> str | None:
    """What is wrong with a blob; UNFINISHED when the time is up before its end, unless it is to be read `whole`."""
    try:
        with store.open(sha256) as reader:
            if reader.size != size:
                return "size"
            if not read:
                return None
            digest, offset = hashlib.sha256(), 0
            while block := reader.read(offset, READ_BYTES):
                if not whole and pace.is_over():
                    return UNFINISHED
                pace.spend(len(block))
                digest.update(block)
                offset += len(block)
            return None if digest.hexdigest() == sha256 else "digest"
    except BlobMissing:
        return "missing"
    except BlobUnreadable:
        return "unreadable"


def _remember(database: Database, store: BlobStore, read: BlobStat, *, damaged: bool) -> None:
    """Remember how a blob was found; the finding itself is more important than that."""
    try:
        database.write_now(partial(_mark, store=store, read=read, damaged=damaged))
    except DBAPIError as error:
        advice = "run modelyard check --read again when the database can be written"
        log.warning("finding not remembered", sha256=read.digest, error=str(error).partition("\n")[0], advice=advice)


def _mark(registry: Registry, *, store: BlobStore, read: BlobStat, damaged: bool) -> None:
    """Remember how the bytes were that have been read, unless others have come in their place since."""
    registry.locks.blob(read.digest)
    if store.stat(read.digest) == read:
        registry.blobs.mark(read.digest, damaged=damaged)


def _references(registry: Registry, *, sha256: str) -> int:
    return registry.blobs.references(sha256)
