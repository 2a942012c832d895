"""What nobody will finish or read any more. There are no locks in a bucket, so age decides.

An unfinished upload is abandoned when its newest part is older than ABANDONED_SECONDS: a living writer whose client
sends less than a part, 8 MiB, within a day is taken for dead, and its upload then fails.

Data is abandoned when nothing has referred to it for as long. Since its own age does not tell that (S3 dates an object
by the beginning of its upload), the first look at data without a reference leaves a note under `orphans/`, and only a
later look at a note that is old enough takes the data for abandoned. Deleting a blob leaves the note at once.
So a reader, a presigned URL, or a client that has just completed its upload has that long to finish.

A probe is an object that its process removes at once; one that is old lost its process in between.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import structlog

from modelyard.blobs.s3.answers import KeyMissing
from modelyard.blobs.s3.bucket import Bucket, Listed, PendingUpload
from modelyard.blobs.s3.layout import DATA, ORPHANS, PROBES, TAILS, is_data_id
from modelyard.blobs.store import Leftover, StoreUnavailable

log = structlog.get_logger()

ABANDONED_SECONDS = 24 * 3600

_DATA_NAME = re.compile(r"data/([0-9a-f]{32})")
_PROBE_NAME = re.compile(r"probes/(?:readiness|[0-9a-f]{32})")  # the latter of earlier releases
_UPLOAD_NAME = re.compile(r"upload/([0-9a-f]{32})/(.+)", re.DOTALL)


class Leftovers:
    """The abandoned uploads and data of a bucket."""

    def __init__(self, bucket: Bucket, abandoned_after: float = ABANDONED_SECONDS) -> None:
        self._bucket = bucket
        self._abandoned_after = abandoned_after

    def find(self, referenced: Iterable[str]) -> Iterator[Leftover]:
        """All that is abandoned; `referenced` are the ids of all data that is in use, which take 80 bytes each."""
        yield from self._abandoned_uploads()
        yield from self._abandoned_data({bytes.fromhex(data_id) for data_id in referenced})
        for probe in self._bucket.list(PROBES):
            if _PROBE_NAME.fullmatch(probe.key) and self._is_old(probe.modified):
                yield Leftover(probe.key, probe.size, probe.modified)

    def remove(self, name: str) -> bool:
        """See `BlobStore.remove_leftover`."""
        if data := _DATA_NAME.fullmatch(name):
            return self._remove_data(data[1])
        if _PROBE_NAME.fullmatch(name):
            return self._remove_probe(name)
        if upload := _UPLOAD_NAME.fullmatch(name):
            return self._remove_upload(DATA + upload[1], upload[2])
        return False

    def tails(self) -> Iterator[Leftover]:
        """What no part is full of yet, of all uploads that go on."""
        for tail in self._bucket.list(TAILS):
            yield Leftover(tail.key, tail.size, tail.modified, tail.key.removeprefix(TAILS).partition("/")[0])

    def note(self, data_id: str) -> None:
        """Count the age of data without a reference from now on."""
        self._bucket.put(ORPHANS + data_id, b"")

    def _abandoned_uploads(self) -> Iterator[Leftover]:
        with _going_on("unfinished uploads cannot be looked for"):
            for upload in self._bucket.pending_uploads(DATA):
                data_id = upload.key.removeprefix(DATA)
                # Asking for the parts is dear, and an upload that began lately is not old.
                if is_data_id(data_id) and self._is_old(upload.initiated):
                    newest, size = self._activity(upload)
                    if self._is_old(newest):
                        yield Leftover(f"upload/{data_id}/{upload.upload_id}", size, newest, data_id)

    def _activity(self, upload: PendingUpload) -> tuple[float, int]:
        newest, size = upload.initiated, 0
        try:
            for part in self._bucket.list_parts(upload.key, upload.upload_id):
                newest, size = max(newest, part.modified), size + part.size
        except KeyMissing:
            newest = time.time()  # it ended meanwhile
        return newest, size

    def _abandoned_data(self, referenced: set[bytes]) -> Iterator[Leftover]:
        notes = {note.key.removeprefix(ORPHANS): note.modified for note in self._bucket.list(ORPHANS)}
        for data in self._bucket.list(DATA):
            data_id = data.key.removeprefix(DATA)
            if not is_data_id(data_id) or bytes.fromhex(data_id) in referenced:
                continue
            noted = notes.pop(data_id, None)
            if noted is None:
                self.note(data_id)
            elif self._is_old(noted):
                yield Leftover(data.key, data.size, noted)
        for data_id in notes:  # of data that is gone or in use again
            self._bucket.delete(ORPHANS + data_id)

    def _remove_data(self, data_id: str) -> bool:
        try:
            self._bucket.head(DATA + data_id)
            noted: Listed = self._bucket.head(ORPHANS + data_id)
        except KeyMissing:
            return False
        if not self._is_old(noted.modified):
            return False
        self._bucket.delete(DATA + data_id)
        self._bucket.delete(ORPHANS + data_id)
        return True

    def _remove_probe(self, key: str) -> bool:
        try:
            if not self._is_old(self._bucket.head(key).modified):
                return False
        except KeyMissing:
            return False
        self._bucket.delete(key)
        return True

    def _remove_upload(self, key: str, upload_id: str) -> bool:
        with _going_on("an unfinished upload cannot be removed"), suppress(KeyMissing):
            newest, _ = self._activity(PendingUpload(key, upload_id, 0))
            if self._is_old(newest):
                self._bucket.abort_upload(key, upload_id)
                return True
        return False

    def _is_old(self, modified: float) -> bool:
        return modified <= time.time() - self._abandoned_after


@contextmanager
def _going_on(what: str) -> Iterator[None]:
    """Say what the server does not do, or does not let be done, and go on; where it does nothing, others notice."""
    try:
        yield
    except StoreUnavailable as error:
        advice = "let the object storage itself end incomplete multipart uploads, by a rule of its lifecycle"
        log.warning(what, error=str(error), advice=advice)
