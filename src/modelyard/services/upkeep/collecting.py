"""What nothing refers to, found and removed beside running uploads and downloads."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError

from modelyard.blobs.resumable import Checkpoint, ResumableBlobStore
from modelyard.blobs.store import BlobStat, BlobStore
from modelyard.clock import now
from modelyard.registry.dialects import is_out_of_space
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.upkeep.holding import BlobsHeld, removing_blobs
from modelyard.services.upkeep import expiring
from modelyard.services.upkeep.blob_lists import not_among
from modelyard.services.upkeep.results import Progress

log = structlog.get_logger()

RECORD = "record"  # garbage that takes no room


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something that nothing refers to: a `blob`, a `record` of a blob without bytes, an unfinished `write`, or an
    `upload` that nobody has gone on with in time.
    """

    kind: str
    name: str
    size: int  # bytes


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
        if leftover.modified > before or (leftover.upload and expiring.is_known(database, leftover.upload)):
            continue
        if dry_run or store.remove_leftover(leftover.name):
            yield Garbage("write", leftover.name, leftover.size)
    if isinstance(store, ResumableBlobStore):
        with where_there_is_room("uploads that have expired"):
            yield from _collect_uploads(database, store, before, dry_run=dry_run)
    if not dry_run and database.read_now(lambda registry: registry.uploads.has_waited(now())):
        with where_there_is_room("rights to send that have ended"):
            database.write_now(lambda registry: registry.uploads.forget_before(now()))
    if not dry_run:
        with where_there_is_room("chunks of files that are gone"):
            _forget_chunks(database, int(before * 1000))
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


def _forget_chunks(database: Database, before: int) -> None:
    if database.read_now(lambda registry: registry.chunks.any_unneeded(before)):
        database.write_now(lambda registry: registry.chunks.forget_unneeded(before))


def _collect_uploads(
    database: Database, store: ResumableBlobStore, before: float, *, dry_run: bool
) -> Iterator[Garbage]:
    for upload in expiring.expired(database):
        if dry_run or expiring.remove(database, store, upload):
            yield Garbage("upload", upload.uid, upload.size)
    if not dry_run and database.read_now(lambda registry: registry.resumable.has_ended(now())):
        database.write_now(lambda registry: registry.resumable.prune(now()))
    for partial_ in store.partials():
        name = partial_.upload
        if name is None or partial_.modified > before or expiring.is_known(database, name):
            continue
        if dry_run or store.discard(Checkpoint(name)):
            yield Garbage("write", partial_.name, partial_.size)


def _collect_blob(
    database: Database, store: BlobStore, listed: BlobStat, before: float, *, dry_run: bool
) -> Garbage | None:
    garbage = Garbage("blob", listed.digest, listed.size)
    if database.read_now(lambda registry: _is_needed(registry, listed.digest)):
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


def remove_unreferenced(database: Database, store: BlobStore, sha256: str) -> None:
    """Remove a blob now that nothing refers to it, if that is so; while a backup runs it is left to a collection."""
    with suppress(BlobsHeld):
        database.write_now(partial(_delete_now, store=store, sha256=sha256))


def _delete_now(registry: Registry, *, store: BlobStore, sha256: str) -> None:
    if not registry.uploads.has_sent(sha256):
        _delete_unreferenced(registry, store=store, sha256=sha256, before=math.inf)


def _is_needed(registry: Registry, sha256: str) -> bool:
    """Whether a file points at a blob, or it is a part of what will be one."""
    return registry.blobs.references(sha256) > 0 or registry.resumable.is_part(sha256)


def _delete_unreferenced(
    registry: Registry, *, store: BlobStore, sha256: str, before: float, forget: bool = True
) -> bool:
    registry.locks.blob_to_remove(sha256)
    with removing_blobs(registry.session.connection()):
        current = store.stat(sha256)
        if current is None or current.modified > before or _is_needed(registry, sha256):
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
    registry.locks.blob_to_remove(sha256)
    if store.stat(sha256) is None and not registry.blobs.references(sha256):
        registry.blobs.forget(sha256)
