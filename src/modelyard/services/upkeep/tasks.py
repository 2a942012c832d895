"""Upkeep beside running uploads and downloads: `check` compares database and store, `gc` removes what nothing needs."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import ClassVar

import structlog
from sqlalchemy.exc import DBAPIError

from modelyard.blobs.store import BlobMissing, BlobStat, BlobStore, BlobUnreadable
from modelyard.registry.dialects import is_out_of_space
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.upkeep.holding import BlobsHeld, removing_blobs
from modelyard.services.upkeep.blob_lists import not_among
from modelyard.services.upkeep.pace import Pace

log = structlog.get_logger()

READ_BYTES = 1024 * 1024
BATCH = 1000  # blobs of one look at the database
RECORD = "record"  # garbage that takes no room
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


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something that nothing refers to: a `blob`, a `record` of a blob without bytes, or an unfinished `write`."""

    kind: str
    name: str
    size: int  # bytes


class Progress:
    """How far a run has come, beginning after the blob at `position` (empty: with the first)."""

    def __init__(self, position: str = "") -> None:
        self.position = position
        self.resumed = bool(position)
        self.size = 0  # bytes that were read, or freed
        self.complete = False


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
            files = _references(database, sha256)
            if files:
                yield Finding(fault, sha256, files)
    progress.complete = True


def check_counts(database: Database) -> list[Miscount]:
    """Compare what is counted of each project's bytes with its files, all at one moment."""
    counts = database.read_now(lambda registry: registry.storage.miscounted())
    return [Miscount("storage", count.project, count.counted, count.actual) for count in counts]


def collect(
    database: Database, store: BlobStore, *, grace: int, dry_run: bool, kept: Iterable[tuple[str, int]] = ()
) -> Iterator[Garbage]:
    """Remove what nothing refers to and is older than `grace` seconds; `dry_run` only says what would go.

    `kept` are digests (with sizes), in ascending order, of blobs that stay.

    Each blob is judged and deleted within a write transaction. An upload records its blob within one too, and puts the
    bytes back if they are gone by then; so neither order of the two loses anything. While a backup runs, blobs stay.

    Where the database has no room for what it would write, bytes go all the same, and records another time.
    """
    before = time.time() - grace
    for leftover in store.leftovers():
        if leftover.modified <= before and (dry_run or store.remove_leftover(leftover.name)):
            yield Garbage("write", leftover.name, leftover.size)
    try:
        for stat in not_among(store.list(), kept):
            if stat.modified <= before and (garbage := _collect_blob(database, store, stat, before, dry_run=dry_run)):
                yield garbage
    except BlobsHeld:
        log.warning("blobs stay while a backup runs", advice="run modelyard gc again when it has ended")
    with where_there_is_room("records of blobs"):
        yield from _collect_records(database, store, dry_run=dry_run)


@contextmanager
def where_there_is_room(what: str) -> Iterator[None]:
    """Leave work to the next run where the database has no room for it."""
    try:
        yield
    except DBAPIError as error:
        if not is_out_of_space(error):
            raise
        log.warning("left to the next run for want of room", what=what, error=str(error).partition("\n")[0])


def collected(garbage: Iterable[Garbage]) -> Progress:
    """A collection that came to its end, by what it has removed."""
    progress = Progress()
    progress.size, progress.complete = sum(each.size for each in garbage if each.kind != RECORD), True
    return progress


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


def _collect_blob(
    database: Database, store: BlobStore, listed: BlobStat, before: float, *, dry_run: bool
) -> Garbage | None:
    garbage = Garbage("blob", listed.digest, listed.size)
    if _references(database, listed.digest):
        return None  # by far the usual case, which should not hold up writers
    if dry_run:
        return garbage
    deleting = partial(_delete_unreferenced, store=store, sha256=listed.digest, before=before)
    try:
        deleted = database.write_now(deleting)
    except DBAPIError as error:
        if not is_out_of_space(error):
            raise
        deleted = database.write_now(partial(deleting, forget=False)) or store.stat(listed.digest) is None
    return garbage if deleted else None


def _references(database: Database, sha256: str) -> int:
    return database.read_now(lambda registry: registry.blobs.references(sha256))


def _delete_unreferenced(
    registry: Registry, *, store: BlobStore, sha256: str, before: float, forget: bool = True
) -> bool:
    registry.locks.blob(sha256)
    with removing_blobs(registry.session.connection()):
        current = store.stat(sha256)
        if current is None or current.modified > before or registry.blobs.references(sha256):
            return False
        if forget:
            registry.blobs.forget(sha256)
        return store.delete(sha256)


def _collect_records(database: Database, store: BlobStore, *, dry_run: bool) -> Iterator[Garbage]:
    """Records of content whose bytes are gone and that no file points at."""
    for sha256, size in database.read_now(lambda registry: list(registry.blobs.unreferenced())):
        if store.stat(sha256) is not None:
            continue
        if not dry_run:
            database.write_now(partial(_forget_without_bytes, store=store, sha256=sha256))
        yield Garbage(RECORD, sha256, size)


def _forget_without_bytes(registry: Registry, store: BlobStore, sha256: str) -> None:
    registry.locks.blob(sha256)
    if store.stat(sha256) is None and not registry.blobs.references(sha256):
        registry.blobs.forget(sha256)
