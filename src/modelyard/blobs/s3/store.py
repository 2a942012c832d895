"""The blob store in a bucket."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice

from modelyard.blobs.remote import DirectUpload
from modelyard.blobs.resumable import Checkpoint
from modelyard.blobs.s3 import resumable
from modelyard.blobs.s3.answers import KeyMissing
from modelyard.blobs.s3.bucket import Bucket
from modelyard.blobs.s3.direct import S3UploadedData, offer
from modelyard.blobs.s3.layout import DATA, PROBE, REFERENCES, Reference, referred
from modelyard.blobs.s3.leftovers import ABANDONED_SECONDS, Leftovers
from modelyard.blobs.s3.reader import S3BlobReader
from modelyard.blobs.s3.writer import S3BlobWriter
from modelyard.blobs.store import BlobMissing, BlobStat, Digest, Leftover, check_digest, is_digest

THREADS = 8
LOOKED_UP_AHEAD = 64


class S3BlobStore:
    """A `RemoteBlobStore` and a `ResumableBlobStore` in a bucket, which must exist.

    `abandoned_after`: seconds after which what nobody seems to need is a leftover; a writer or reader that is slower
    than that loses its bytes.
    """

    locks = False
    save_seconds = 30.0  # a save takes a request for what no part is full of

    def __init__(self, bucket: Bucket, *, abandoned_after: float = ABANDONED_SECONDS) -> None:
        self._bucket = bucket
        self._leftovers = Leftovers(bucket, abandoned_after)
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")

    def begin(self) -> S3BlobWriter:
        """See `BlobStore.begin`; the bucket is asked only when the first part is full."""
        return S3BlobWriter(self._bucket, self._executor)

    def open(self, digest: Digest) -> S3BlobReader:
        """See `BlobStore.open`."""
        check_digest(digest)
        if (reader := self._opened_as_remembered(digest)) is not None:
            return reader
        reference, _ = self._found(digest)
        try:
            return self._opened(reference)
        except KeyMissing as error:
            raise BlobMissing(digest) from error

    def stat(self, digest: Digest) -> BlobStat | None:
        """See `BlobStore.stat`."""
        check_digest(digest)
        found = referred(self._bucket, digest)
        return BlobStat(digest, found[0].size, found[1]) if found else None

    def delete(self, digest: Digest) -> bool:
        """See `BlobStore.delete`. The room comes back when the leftovers are removed."""
        try:
            reference, _ = self._found(digest)
        except BlobMissing:
            return False
        self._leftovers.note(reference.data_id)
        self._bucket.delete(REFERENCES + digest)
        self._bucket.remembered.forget(digest)
        return True

    def list(self) -> Iterator[BlobStat]:
        """See `BlobStore.list`; takes one small GET for each blob."""
        for digest, reference, modified in self._references():
            yield BlobStat(digest, reference.size, modified)

    def leftovers(self) -> Iterator[Leftover]:
        """See `BlobStore.leftovers`. May write notes of what it saw."""
        return self._leftovers.find(reference.data_id for _, reference, _ in self._references())

    def remove_leftover(self, name: str) -> bool:
        """See `BlobStore.remove_leftover`."""
        return self._leftovers.remove(name)

    def probe(self) -> None:
        """See `BlobStore.probe`: an object is made and removed."""
        self._bucket.put(PROBE, b"")
        self._bucket.delete(PROBE)

    def download_url(self, digest: Digest, seconds: int, content_type: str, disposition: str) -> str:
        """See `RemoteBlobStore.download_url`."""
        reference, _ = self._found(digest)
        headers = {"ResponseContentType": content_type, "ResponseContentDisposition": disposition}
        return self._bucket.presign("get_object", DATA + reference.data_id, seconds, **headers)

    def offer_upload(self, size: int, seconds: int) -> DirectUpload | None:
        """See `RemoteBlobStore.offer_upload`."""
        return offer(self._bucket, size, seconds)

    def uploaded(self, upload_id: str) -> S3UploadedData:
        """See `RemoteBlobStore.uploaded`."""
        return S3UploadedData(self._bucket, self._executor, self._leftovers, upload_id)

    def secret(self) -> bytes | None:
        """See `RemoteBlobStore.secret`: the secret key of the credentials, unless they are temporary."""
        return self._bucket.secret()

    def hold(self, name: str, *, new: bool) -> resumable.S3Hold:
        """See `ResumableBlobStore.hold`: nobody is kept out."""
        del name, new
        return resumable.S3Hold(self._bucket, self._executor)

    def discard(self, checkpoint: Checkpoint) -> bool:
        """See `ResumableBlobStore.discard`."""
        return resumable.discard(self._bucket, checkpoint)

    def recover(self, checkpoint: Checkpoint, digest: Digest) -> None:
        """See `ResumableBlobStore.recover`."""
        resumable.recover(self._bucket, checkpoint, digest)

    def has(self, checkpoint: Checkpoint) -> bool:
        """See `ResumableBlobStore.has`."""
        return resumable.has(self._bucket, checkpoint)

    def partials(self) -> Iterator[Leftover]:
        """See `ResumableBlobStore.partials`: tails, as unfinished uploads of whatever kind are leftovers in time."""
        return self._leftovers.tails()

    def _opened_as_remembered(self, digest: Digest) -> S3BlobReader | None:
        """A reader of what a remembered reference leads to; None where that is not, or no longer, what it should be."""
        reference = self._bucket.remembered.get(digest)
        if reference is None:
            return None
        with suppress(KeyMissing):
            reader = self._opened(reference)
            if reader.size == reference.size:
                return reader
            reader.close()
        self._bucket.remembered.forget(digest)
        return None

    def _opened(self, reference: Reference) -> S3BlobReader:
        return S3BlobReader(self._bucket, DATA + reference.data_id, reference.size)

    def _found(self, digest: Digest) -> tuple[Reference, float]:
        check_digest(digest)
        found = referred(self._bucket, digest)
        if found is None:
            raise BlobMissing(digest)
        return found

    def _references(self) -> Iterator[tuple[Digest, Reference, float]]:
        listed = self._bucket.list(REFERENCES)
        digests = (each.key.removeprefix(REFERENCES) for each in listed)
        for digest, found in self._looked_up(digest for digest in digests if is_digest(digest)):
            if found is not None:
                yield digest, *found

    def _looked_up(self, digests: Iterable[Digest]) -> Iterator[tuple[Digest, tuple[Reference, float] | None]]:
        remaining = iter(digests)
        ahead: deque[tuple[Digest, Future[tuple[Reference, float] | None]]] = deque()
        while True:
            for digest in islice(remaining, LOOKED_UP_AHEAD - len(ahead)):
                ahead.append((digest, self._executor.submit(referred, self._bucket, digest)))
            if not ahead:
                return
            digest, looking = ahead.popleft()
            yield digest, looking.result()
