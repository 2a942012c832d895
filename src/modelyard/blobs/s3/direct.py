"""Uploads that clients carry out by themselves, with presigned URLs, and what makes a blob of them."""

from __future__ import annotations

import hashlib
from concurrent.futures import Executor

from modelyard.blobs.remote import DirectUpload
from modelyard.blobs.s3.bucket import Bucket, KeyMissing
from modelyard.blobs.s3.layout import DATA, ORPHANS, Reference, new_data_id, refer, restore
from modelyard.blobs.s3.leftovers import Leftovers
from modelyard.blobs.s3.reader import scan
from modelyard.blobs.store import BlobMissing, Digest

MAX_PARTS = 1000  # of 10 000, since each is a URL of 400 bytes in one answer
SMALLEST_PART_BYTES = 16 << 20
LARGEST_PART_BYTES = 5 << 30
PART_STEP = 1 << 20


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
    numbers = range(1, -(-size // part_size) + 1)
    return DirectUpload(
        data_id,
        part_size,
        [bucket.presign("upload_part", key, seconds, UploadId=upload_id, PartNumber=number) for number in numbers],
        bucket.presign("complete_multipart_upload", key, seconds, UploadId=upload_id),
        bucket.presign("abort_multipart_upload", key, seconds, UploadId=upload_id),
        bucket.presign("get_object", key, seconds),
    )


class S3UploadedData:
    """Data that nothing refers to yet. It is never removed here: what was published before may be asked for again."""

    def __init__(self, bucket: Bucket, executor: Executor, leftovers: Leftovers, data_id: str) -> None:
        """Take note of the data, so that it has a day from now on. Raises BlobMissing."""
        self._bucket = bucket
        self._executor = executor
        self._data_id = data_id
        self._digest: Digest | None = None
        self._published = False
        try:
            self.size = bucket.head(DATA + data_id).size
        except KeyMissing as error:
            raise BlobMissing(data_id) from error
        leftovers.note(data_id)

    def digest(self) -> Digest:
        """See `UploadedData.digest`."""
        if self._digest is None:
            found = hashlib.sha256()
            for block in scan(self._bucket, self._executor, DATA + self._data_id, self.size):
                found.update(block)
            self._digest = found.hexdigest()
        return self._digest

    def publish(self) -> None:
        """See `UploadedData.publish`."""
        reference = Reference(self._data_id, self.size)
        if self._published:
            restore(self._bucket, self.digest(), reference)
            return
        refer(self._bucket, self.digest(), reference)
        self._bucket.delete(ORPHANS + self._data_id)
        self._published = True
