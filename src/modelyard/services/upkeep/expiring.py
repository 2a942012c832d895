"""Uploads that go on: those that have expired, and those whose bytes are gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from modelyard.blobs.resumable import Checkpoint, ResumableBlobStore
from modelyard.blobs.store import BlobStore
from modelyard.clock import now
from modelyard.registry.engine import Database
from modelyard.registry.files.resumable import OPEN
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Upload

BATCH = 200  # uploads of one look at the database


@dataclass(frozen=True, slots=True)
class LostUpload:
    """An upload that its client believes to go on, and whose bytes are not there."""

    EVENT: ClassVar = "upload lost"
    ADVICE: ClassVar = "nothing needs to be done: its client begins again"

    fault: str
    uid: str
    size: int  # bytes

    def __str__(self) -> str:
        """For people."""
        return f"{self.fault}\t{self.uid}\t{self.size} bytes"


def check_uploads(database: Database, store: BlobStore) -> list[LostUpload]:
    """Compare what is recorded of uploads that go on with the store, beside those that write them."""
    if not isinstance(store, ResumableBlobStore):
        return []
    return [LostUpload("upload", each.uid, each.size) for each in _open(database) if _is_lost(database, store, each)]


def expired(database: Database) -> Iterator[Upload]:
    """Uploads that nobody has gone on with in time; a writer that is at it puts that off."""
    after = 0
    while batch := database.read_now(partial(_expired_after, after=after)):
        yield from (upload for upload in batch if upload.state == OPEN)
        after = batch[-1].id


def remove(database: Database, store: ResumableBlobStore, upload: Upload) -> bool:
    """Remove one that has expired, and its bytes; False where somebody goes on with it after all."""
    hold = store.hold(upload.uid, new=False)
    if hold is None:
        return False
    with hold:
        removed = database.write_now(lambda registry: registry.resumable.remove_expired(upload.id, now()))
    return removed and store.discard(checkpoint_of(upload))


def is_known(database: Database, uid: str) -> bool:
    """Whether there is an upload of that uid that may go on, or has yet to be removed."""
    return database.read_now(lambda registry: registry.resumable.is_known(uid))


def checkpoint_of(upload: Upload) -> Checkpoint:
    """Where the bytes of an upload are."""
    return Checkpoint(upload.uid, upload.size, place=upload.place)


def _open(database: Database) -> Iterator[Upload]:
    after = 0
    while batch := database.read_now(partial(_open_after, after=after)):
        yield from batch
        after = batch[-1].id


def _open_after(registry: Registry, *, after: int) -> list[Upload]:
    return registry.resumable.open_after(after, now(), BATCH)


def _expired_after(registry: Registry, *, after: int) -> list[Upload]:
    return registry.resumable.expired(now(), after, BATCH)


def _is_there(database: Database, store: ResumableBlobStore, upload: Upload) -> bool:
    parts = database.read_now(lambda registry: registry.resumable.parts(upload.id))
    if parts and (store.locks or not upload.place):  # blobs of their own
        return all(store.stat(sha256) is not None for _number, _size, sha256 in parts)
    return store.has(checkpoint_of(upload))


def _is_lost(database: Database, store: ResumableBlobStore, upload: Upload) -> bool:
    """Whether the bytes are missing, and the upload has neither gone on nor become a file meanwhile."""
    if _is_there(database, store, upload):
        return False
    if upload.sha256 is not None and store.stat(upload.sha256) is not None:
        return False  # whoever asks next for it finishes it
    current = database.read_now(lambda registry: registry.resumable.by_uid(upload.uid, now()))
    return current is not None and (current.state, current.generation, current.size, current.place) == (
        upload.state,
        upload.generation,
        upload.size,
        upload.place,
    )
