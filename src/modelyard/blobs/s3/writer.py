"""Bytes on their way into the bucket: one PUT for what fits into a part, else a multipart upload in parallel parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import suppress

from modelyard.blobs._sha256 import Hasher
from modelyard.blobs._writer import HashingWriter
from modelyard.blobs.s3.bodies import Body
from modelyard.blobs.s3.bucket import Bucket, Part
from modelyard.blobs.s3.layout import DATA, Reference, new_data_id, refer, restore
from modelyard.blobs.store import BlobError, Digest

MAX_PARTS = 10_000
FIRST_PART_BYTES = 8 << 20
PART_STEP = 1 << 20
# A part is so small a share of what lies before it that MAX_PARTS of them hold 5.8 TB, and the last 3.9 GiB.
SHARE = 1400
IN_FLIGHT_BYTES = 24 << 20


def part_size(offset: int) -> int:
    """Bytes of the part that begins at `offset`: 8 MiB up to 11 GiB, 69 MiB at 100 GB."""
    share = -(-offset // SHARE)
    return max(FIRST_PART_BYTES, -(-share // PART_STEP) * PART_STEP)


class MultipartUpload:
    """A multipart upload whose parts travel in an executor's threads.

    No more than IN_FLIGHT_BYTES are on their way at a time, or one part if that is larger.
    """

    def __init__(
        self,
        bucket: Bucket,
        executor: Executor,
        key: str,
        *,
        upload_id: str | None = None,
        sent: Sequence[Part] = (),
        first: int = 1,
    ) -> None:
        """Begin an upload, or go on with one of which parts were sent, from the part of number `first` on."""
        self._bucket = bucket
        self._executor = executor
        self._key = key
        self.upload_id = upload_id or bucket.create_upload(key)
        self.next_number = first
        self._sent = list(sent)
        self._in_flight: deque[tuple[int, Future[Part]]] = deque()
        self._completed = False

    def send(self, body: Body) -> None:
        """Upload the next part, in the background; `body` is taken over. Raises what an earlier part raised."""
        while self._in_flight and sum(size for size, _ in self._in_flight) + len(body) > IN_FLIGHT_BYTES:
            self._land_oldest()
        number, self.next_number = self.next_number, self.next_number + 1
        sending = self._executor.submit(self._bucket.upload_part, self._key, self.upload_id, number, body)
        self._in_flight.append((len(body), sending))

    def land(self) -> Sequence[Part]:
        """Wait for all parts that were sent, and tell them."""
        while self._in_flight:
            self._land_oldest()
        return self._sent

    def complete(self) -> None:
        """Wait for all parts, and make them one object."""
        self._bucket.complete_upload(self._key, self.upload_id, self.land())
        self._completed = True

    def close(self) -> None:
        """Abort unless completed; never raises. What cannot be aborted is from now on abandoned."""
        if self._completed:
            return
        self.stop()  # a part that lands after the abort would stay
        with suppress(BlobError):
            self._bucket.abort_upload(self._key, self.upload_id)

    def stop(self) -> None:
        """Send nothing more, and leave what was sent; never raises."""
        for _, sending in self._in_flight:
            sending.cancel()
        wait([sending for _, sending in self._in_flight])

    def _land_oldest(self) -> None:
        self._sent.append(self._in_flight[0][1].result())
        self._in_flight.popleft()


class S3BlobWriter(HashingWriter):
    """A part being filled, those before it on their way. Holds a part and IN_FLIGHT_BYTES in memory at most."""

    def __init__(
        self,
        bucket: Bucket,
        executor: Executor,
        data_id: str | None = None,
        hasher: Hasher | None = None,
        size: int = 0,
    ) -> None:
        """A writer of new data, or one that goes on with some after `size` bytes that `hasher` has taken."""
        super().__init__(hasher, size)
        self._bucket = bucket
        self._executor = executor
        self._data_id = data_id or new_data_id()
        self._part = Body()
        self._sent = 0
        self._upload: MultipartUpload | None = None

    def _append(self, chunks: Sequence[memoryview]) -> None:
        for chunk in chunks:
            rest = chunk
            while rest:
                if len(self._part) >= self._part_size():
                    self._send_part()
                room = self._part_size() - len(self._part)
                self._part.append(rest[:room])
                rest = rest[room:]

    def _part_size(self) -> int:
        return part_size(self._sent)

    def _send_part(self) -> None:
        if self._upload is None:
            self._upload = MultipartUpload(self._bucket, self._executor, DATA + self._data_id)
        self._upload.send(self._part)
        self._sent += len(self._part)
        self._part = Body()

    def _publish(self, digest: Digest) -> None:
        if self._upload is None:
            self._bucket.put(DATA + self._data_id, self._part)
        else:
            self._send_part()
            self._upload.complete()
        self._part = Body()
        refer(self._bucket, digest, Reference(self._data_id, self._size))

    def _republish(self, digest: Digest) -> None:
        restore(self._bucket, digest, Reference(self._data_id, self._size))

    def _release(self) -> None:
        # Data whose reference could not be written is left to a collector: the request may have taken effect all the
        # same, and in place of a blob that others rely on.
        self._part = Body()
        if self._upload is not None:
            self._upload.close()
