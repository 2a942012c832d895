"""Uploads that clients carry out by themselves, with presigned URLs, and what makes a blob of them."""

from __future__ import annotations

import hashlib
from concurrent.futures import Executor, wait
from contextlib import suppress

from modelyard.blobs.remote import DirectUpload
from modelyard.blobs.s3.answers import KeyMissing, Unsupported, UploadMissing
from modelyard.blobs.s3.bodies import Body
from modelyard.blobs.s3.bucket import Bucket
from modelyard.blobs.s3.layout import DATA, ORPHANS, Reference, new_data_id, refer, restore
from modelyard.blobs.s3.leftovers import Leftovers
from modelyard.blobs.s3.reader import scan
from modelyard.blobs.s3.writer import MultipartUpload
from modelyard.blobs.store import BlobError, BlobMissing, Digest

MAX_PARTS = 1000  # of 10 000, since each is a URL of 400 bytes in one answer
SMALLEST_PART_BYTES = 16 << 20
LARGEST_PART_BYTES = 5 << 30
PART_STEP = 1 << 20
COPIED_PART_BYTES = 64 << 20  # few enough to be copied while a connection may be silent
MAX_COPIED_PARTS = 10_000


def direct_part_size(size: int) -> int | None:
    """Bytes of each part but the last of an upload of `size` bytes, None where it is more than 5 TB."""
    share = -(-size // MAX_PARTS)
    part = max(SMALLEST_PART_BYTES, -(-share // PART_STEP) * PART_STEP)
    return part if part <= LARGEST_PART_BYTES else None


def offer(bucket: Bucket, size: int, seconds: int) -> DirectUpload | None:
    """See `RemoteBlobStore.offer_upload`; an upload that is not completed is a leftover in time."""
    part_size = direct_part_size(size)
    if part_size is None:
        return None
    data_id = new_data_id()
    key = DATA + data_id
    upload_id = bucket.create_upload(key)
    # The length is signed as well, so that what was authorized as 10 bytes takes no more: without it, or with another
    # one, the signature does not fit.
    parts = [
        {"PartNumber": number, "ContentLength": min(part_size, size - start)}
        for number, start in enumerate(range(0, size, part_size), 1)
    ]
    return DirectUpload(
        f"{data_id}/{upload_id}",
        part_size,
        [bucket.presign("upload_part", key, seconds, UploadId=upload_id, **part) for part in parts],
        bucket.presign("complete_multipart_upload", key, seconds, UploadId=upload_id),
        bucket.presign("abort_multipart_upload", key, seconds, UploadId=upload_id),
        bucket.presign("get_object", key, seconds),
    )


class S3UploadedData:
    """Data that nothing refers to yet. It is never removed here: what was published before may be asked for again.

    A client keeps its URLs, so what it uploaded may be referred to only where they are of no use any more. S3 forgets
    an upload that was completed. Swift does not, and lets its parts be replaced and completed again: there, and where
    a server cannot tell, the bytes are first copied to where no URL leads.
    """

    def __init__(self, bucket: Bucket, executor: Executor, leftovers: Leftovers, upload_id: str) -> None:
        """Take note of the data, so that it has a day from now on. Raises BlobMissing."""
        self._bucket = bucket
        self._executor = executor
        self._data_id, _, self._upload_id = upload_id.partition("/")
        self._digest: Digest | None = None
        self._published = False
        try:
            self.size = bucket.head(DATA + self._data_id).size
        except KeyMissing as error:
            raise BlobMissing(self._data_id) from error
        leftovers.note(self._data_id)

    def digest(self) -> Digest:
        """See `UploadedData.digest`."""
        if self._digest is None:
            if not self._is_sealed():
                self._data_id = copied(self._bucket, self._executor, self._data_id, self.size)
            found = hashlib.sha256()
            for block in scan(self._bucket, self._executor, DATA + self._data_id, self.size):
                found.update(block)
            self._digest = found.hexdigest()
        return self._digest

    def publish(self) -> None:
        """See `UploadedData.publish`."""
        digest = self.digest()  # after which it is known where the bytes lie
        reference = Reference(self._data_id, self.size)
        if self._published:
            restore(self._bucket, digest, reference)
            return
        refer(self._bucket, digest, reference)
        self._bucket.delete(ORPHANS + self._data_id)
        self._published = True

    def _is_sealed(self) -> bool:
        try:
            next(self._bucket.list_parts(DATA + self._data_id, self._upload_id), None)
        except UploadMissing:
            return True
        except (KeyMissing, Unsupported):
            pass
        return False


def copied(bucket: Bucket, executor: Executor, data_id: str, size: int) -> str:
    """Copy data, within the store where its server can, and return the id of the copy. Raises KeyMissing."""
    try:
        return _copied_within(bucket, executor, data_id, size)
    except Unsupported:
        return _carried(bucket, executor, data_id, size)


def _carried(bucket: Bucket, executor: Executor, data_id: str, size: int) -> str:
    copy_id = new_data_id()
    upload = MultipartUpload(bucket, executor, DATA + copy_id)
    try:
        for block in scan(bucket, executor, DATA + data_id, size):
            upload.send(Body(block))
        upload.complete()
    finally:
        upload.close()
    return copy_id


def _copied_within(bucket: Bucket, executor: Executor, data_id: str, size: int) -> str:
    copy_id = new_data_id()
    if size <= COPIED_PART_BYTES:
        bucket.copy(DATA + data_id, DATA + copy_id)
        return copy_id
    upload_id = bucket.create_upload(DATA + copy_id)
    step = max(COPIED_PART_BYTES, -(-size // MAX_COPIED_PARTS))
    copying = [
        executor.submit(
            bucket.copy_part, DATA + data_id, start, min(start + step, size), DATA + copy_id, upload_id, number
        )
        for number, start in enumerate(range(0, size, step), 1)
    ]
    try:
        bucket.complete_upload(DATA + copy_id, upload_id, [part.result() for part in copying])
    except BaseException:
        for part in copying:
            part.cancel()
        wait(copying)
        with suppress(BlobError):
            bucket.abort_upload(DATA + copy_id, upload_id)
        raise
    return copy_id
