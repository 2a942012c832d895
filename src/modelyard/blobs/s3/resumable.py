"""Uploads to a bucket that outlive their process: a multipart upload, and what no part is full of yet beside it.

S3 knows no locks, and parts of one number replace each other. So whoever goes on leaves out the numbers that another
may still be sending, and says with the record of his checkpoint, which has a generation, which parts are of the blob:
those that are not recorded are dropped when the upload is completed. The tail is an object of its own, never written
twice, that is read back by whoever goes on.

Parts of an unfinished upload cannot be read. Where the state of the hash is lost, all is read back when it is complete.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Self

from modelyard.blobs._sha256 import Hasher, new_hasher, restored
from modelyard.blobs.resumable import Checkpoint, SentPart
from modelyard.blobs.s3.answers import KeyMissing, UploadMissing
from modelyard.blobs.s3.bodies import Body
from modelyard.blobs.s3.bucket import Bucket, Part
from modelyard.blobs.s3.layout import DATA, TAILS, Reference, refer, referred
from modelyard.blobs.s3.reader import scan
from modelyard.blobs.s3.writer import MAX_PARTS, MultipartUpload, S3BlobWriter, part_size
from modelyard.blobs.store import BlobError, BlobMissing, Digest, StoreFull

LEFT_OUT = 64  # numbers with which another may still send parts, and which nobody passes without being recorded
SCARCE_FROM = 5_000  # parts from which on they are larger, as numbers run out


class S3Hold:
    """Anybody may go on at any time: the generation of the checkpoint tells whose record counts."""

    def __init__(self, bucket: Bucket, executor: Executor) -> None:
        self._bucket = bucket
        self._executor = executor

    def resume(self, checkpoint: Checkpoint) -> S3ResumableWriter:
        """See `Hold.resume`."""
        return S3ResumableWriter(self._bucket, self._executor, checkpoint)

    def release(self) -> None:
        """See `Hold.release`: there is nothing to give back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


class S3ResumableWriter(S3BlobWriter):
    """A part being filled, which begins with the tail that was left."""

    def __init__(self, bucket: Bucket, executor: Executor, checkpoint: Checkpoint) -> None:
        hasher = checkpoint.hasher or restored(checkpoint.state, checkpoint.size)
        self._forgotten = hasher is None
        self._completed = False
        super().__init__(bucket, executor, checkpoint.name, hasher or new_hasher(), checkpoint.size)
        self._generation, self._saves, self._known = checkpoint.generation, 0, len(checkpoint.parts)
        place = json.loads(checkpoint.place) if checkpoint.place else {}
        self._sent = sum(part.size for part in checkpoint.parts)
        self._saved_number = 1
        self._sizes = [part.size for part in checkpoint.parts]
        self._tail: str | None = place.get("tail")
        if self._tail is not None:
            self._part = self._read_tail(self._tail, checkpoint)
        if "upload" in place:
            sent = [Part(part.number, part.etag) for part in checkpoint.parts]
            # Nobody has written in between whose parts may still be on their way.
            clean = place["closed"] and place["generation"] == checkpoint.previous
            first = place["next"] + (0 if clean else LEFT_OUT)
            self._saved_number = first
            self._upload = MultipartUpload(
                bucket, executor, DATA + checkpoint.name, upload_id=place["upload"], sent=sent, first=first
            )
        _drop_tails(bucket, checkpoint.name, before=self._tail_key(0), kept=self._tail)

    @property
    def due(self) -> bool:
        """See `ResumableWriter.due`."""
        return self._upload is not None and self._upload.next_number > self._saved_number + LEFT_OUT // 2

    def save(self, *, last: bool) -> Checkpoint:
        """See `ResumableWriter.save`."""
        with self._lock:
            self._require_open()
            with self._closing_on_failure():
                place: dict[str, object] = {"generation": self._generation, "closed": last}
                parts: Sequence[SentPart] = ()
                if self._upload is not None:
                    landed = self._upload.land()
                    parts = [SentPart(p.number, size, p.etag) for p, size in zip(landed, self._sizes, strict=True)]
                    place |= {"upload": self._upload.upload_id, "next": self._upload.next_number}
                if self._part:
                    self._saves += 1
                    self._tail = self._tail_key(self._saves)
                    self._bucket.put(self._tail, self._part)
                    place["tail"] = self._tail
                new, self._known = parts[self._known :], len(parts)
                self._saved_number = self._upload.next_number if self._upload is not None else 1
            hasher: Hasher | None = None if self._forgotten else self._hash  # type: ignore[assignment] # as it was given
            state = hasher.save() if hasher else b""
            kept = hasher.copy() if hasher and not state else None
            return Checkpoint(self._data_id, self._size, state, json.dumps(place), new, hasher=kept)

    def _part_size(self) -> int:
        number = self._upload.next_number if self._upload is not None else 0
        return part_size(self._sent) * (1 + number // SCARCE_FROM)

    def _send_part(self) -> None:
        if self._upload is not None and self._upload.next_number > MAX_PARTS:
            raise StoreFull(f"an upload has {MAX_PARTS} parts at most, and this one was cut too often")
        self._sizes.append(len(self._part))
        super()._send_part()

    def _digest(self) -> Digest:
        if self._forgotten:
            self._complete()
            hasher = new_hasher()
            for block in scan(self._bucket, self._executor, DATA + self._data_id, self._size):
                hasher.update(memoryview(block))
            self._hash, self._forgotten = hasher, False
        return super()._digest()

    def _publish(self, digest: Digest) -> None:
        self._complete()
        refer(self._bucket, digest, Reference(self._data_id, self._size))
        _drop_tails(self._bucket, self._data_id)

    def _complete(self) -> None:
        if self._completed:
            return
        if self._upload is None:
            self._bucket.put(DATA + self._data_id, self._part)
        else:
            if self._part:
                self._send_part()
            self._upload.complete()
        self._completed, self._part = True, Body()

    def _release(self) -> None:
        self._part = Body()
        if self._upload is not None:
            self._upload.stop()

    def _read_tail(self, key: str, checkpoint: Checkpoint) -> Body:
        try:
            tail, _modified = self._bucket.get(key)
        except KeyMissing as error:
            raise BlobMissing(checkpoint.name) from error
        if self._sent + len(tail) != checkpoint.size:
            raise BlobMissing(checkpoint.name)
        return Body(tail)

    def _tail_key(self, save: int) -> str:
        return f"{TAILS}{self._data_id}/{self._generation:012d}-{save:06d}"


def recover(bucket: Bucket, checkpoint: Checkpoint, digest: Digest) -> None:
    """See `ResumableBlobStore.recover`."""
    if referred(bucket, digest) is not None:
        return
    try:
        found = bucket.head(DATA + checkpoint.name).size
    except KeyMissing as error:
        raise BlobMissing(checkpoint.name) from error
    if found != checkpoint.size:
        raise BlobMissing(checkpoint.name)
    refer(bucket, digest, Reference(checkpoint.name, checkpoint.size))


def discard(bucket: Bucket, checkpoint: Checkpoint) -> bool:
    """See `ResumableBlobStore.discard`."""
    upload = upload_of(checkpoint)
    if upload is not None:
        with suppress(KeyMissing):
            bucket.abort_upload(DATA + checkpoint.name, upload)
    _drop_tails(bucket, checkpoint.name)
    return True


def has(bucket: Bucket, checkpoint: Checkpoint) -> bool:
    """See `ResumableBlobStore.has`."""
    place = json.loads(checkpoint.place) if checkpoint.place else {}
    try:
        if "tail" in place:
            bucket.head(place["tail"])
        if "upload" in place:
            next(bucket.list_parts(DATA + checkpoint.name, place["upload"]), None)
    except UploadMissing:
        return False
    except KeyMissing:
        return "tail" not in place  # else the server does not tell of uploads
    except BlobError:
        return True
    return True


def upload_of(checkpoint: Checkpoint) -> str | None:
    """The id of the multipart upload that a checkpoint goes on with."""
    found: str | None = json.loads(checkpoint.place).get("upload") if checkpoint.place else None
    return found


def _drop_tails(bucket: Bucket, name: str, *, before: str | None = None, kept: str | None = None) -> None:
    """Remove the tails of an upload; with `before` only those of earlier generations, and never the one that is kept.

    Never raises: a collector finds what is left.
    """
    with suppress(BlobError):
        for tail in list(bucket.list(f"{TAILS}{name}/")):
            if tail.key != kept and (before is None or tail.key < before):
                bucket.delete(tail.key)
