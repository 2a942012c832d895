"""Reading a blob: ranged GETs whose bodies are read as far as they are wanted."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import partial
from typing import Self, TypeVar

from modelyard.blobs.s3.answers import KeyMissing, RangeMissing, Stream
from modelyard.blobs.s3.bucket import Bucket
from modelyard.blobs.s3.outgoing import BLOCK_BYTES, Outgoing
from modelyard.blobs.store import StoreUnavailable, check_range

T = TypeVar("T")

OPENING_BYTES = 128 * 1024
FIRST_WINDOW_BYTES = 8 << 20
LAST_WINDOW_BYTES = 256 << 20
REPEATS = 2
SCAN_BYTES = 8 << 20
SCANS_AHEAD = 3


class RangesIgnored(StoreUnavailable):
    """Every GET begins with the first byte, so that one is better read to the end."""


class S3BlobReader:
    """The data of one blob, with its first 128 KiB at hand: a small file takes a single GET.

    Whoever reads on where the last read ended reads from one GET, whose window doubles from 8 to 256 MiB; the
    connection's own buffers are the read-ahead. Any other read asks for exactly its range, so nothing is left unread
    and the connection serves the next one. Beyond the first bytes, nothing is kept that was not asked for.

    What goes to a socket is not copied where that can be; see `Outgoing`.

    A server that ignores ranges gives everything at each GET: that stream is read as long as it goes forwards.
    """

    def __init__(self, bucket: Bucket, key: str, size: int) -> None:
        """Open data that should have `size` bytes; its real size is `self.size`. Raises KeyMissing."""
        self._bucket = bucket
        self._key = key
        self._lock = threading.Lock()
        self._closed = False
        self._stream: Stream | None = None
        self._window = 0
        self._outgoing = Outgoing()
        self._opening, self.size = self._open(size)
        self._next = len(self._opening)

    def read(self, offset: int, length: int) -> bytes:
        """See `BlobReader.read`."""
        check_range(offset, length)
        stop = min(offset + length, self.size)
        with self._lock:
            if self._closed:
                raise ValueError("the reader is closed")
            parts = [self._opening[offset:stop]]
            offset += len(parts[0])
            while offset < stop:
                parts.append(patiently(partial(self._read_on, offset, stop)))
                offset += len(parts[-1])
            return b"".join(parts) if len(parts) > 1 else parts[0]

    def send(self, socket: int, offset: int, length: int) -> int:
        """See `SendingReader.send`; what the socket has no room for is kept for the next call."""
        with self._lock:
            if self._closed:
                raise ValueError("the reader is closed")
            if not self._outgoing.begins_at(offset):
                self._take_out(offset, min(length, BLOCK_BYTES, self.size - offset))
            return self._outgoing.send(socket, length)

    def _take_out(self, offset: int, length: int) -> None:
        if offset < len(self._opening) or length <= 0:
            self._outgoing.hold(offset, memoryview(self._opening)[offset : offset + max(0, length)])
        else:
            patiently(partial(self._fill, offset, length))

    def close(self) -> None:
        """See `BlobReader.close`."""
        with self._lock:
            self._closed = True
            self._drop_stream()
            self._outgoing.close()

    def _open(self, size: int) -> tuple[bytes, int]:
        if size == 0:
            return b"", self._bucket.head(self._key).size
        try:
            stream = self._bucket.stream(self._key, 0, min(size, OPENING_BYTES))
        except RangeMissing:
            return b"", self._bucket.head(self._key).size
        try:
            opening = stream.read(OPENING_BYTES)
        except BaseException:
            stream.close()
            raise
        self._stream = stream
        if stream.position >= stream.stop:
            self._drop_stream()
        return opening, stream.total

    def _read_on(self, start: int, stop: int) -> bytes:
        """Some of the bytes from `start` up to `stop`, at least one."""
        with self._at(start, stop) as stream:
            data = stream.read(stop - start)
            self._went_on(stream, start, len(data))
        return data

    def _fill(self, start: int, length: int) -> None:
        """Take some of the bytes from `start` on, at least one, out of the stream."""
        with self._at(start, start + length) as stream:
            self._went_on(stream, start, self._outgoing.fill(start, stream, length))

    @contextmanager
    def _at(self, start: int, stop: int) -> Iterator[Stream]:
        """A stream whose next byte is at `start`; it is given up if anything fails."""
        stream = self._stream_from(start, stop)
        try:
            stream.skip_to(start, FIRST_WINDOW_BYTES)
            yield stream
        except BaseException:
            self._drop_stream()
            raise

    def _went_on(self, stream: Stream, start: int, size: int) -> None:
        if not size:
            raise StoreUnavailable(f"a stream of {stream.total} bytes ended early")
        self._next = start + size

    def _stream_from(self, start: int, stop: int) -> Stream:
        if self._stream is not None and self._leads_to(self._stream, start):
            return self._stream
        self._drop_stream()
        window = self._window if start == self._next else 0
        self._window = max(FIRST_WINDOW_BYTES, min(window * 2, LAST_WINDOW_BYTES))
        self._stream = self._bucket.stream(self._key, start, min(max(stop, start + window), self.size))
        self._next = start
        return self._stream

    def _leads_to(self, stream: Stream, start: int) -> bool:
        return stream.position <= start < stream.stop and (stream.is_whole or start == stream.position)

    def _drop_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def scan(bucket: Bucket, executor: Executor, key: str, size: int) -> Iterator[bytes]:
    """All bytes of an object in order, some blocks of 8 MiB being fetched ahead in the executor's threads."""
    ahead: deque[Future[bytes]] = deque()
    position = 0
    try:
        for start in range(0, size, SCAN_BYTES):
            ahead.append(executor.submit(_block, bucket, key, start, min(start + SCAN_BYTES, size)))
            if len(ahead) > SCANS_AHEAD:
                block = ahead.popleft().result()
                position += len(block)
                yield block
        while ahead:
            block = ahead.popleft().result()
            position += len(block)
            yield block
    except RangesIgnored:
        yield from _read_in_one(bucket, key, position, size)
    finally:
        for fetching in ahead:
            fetching.cancel()


def _read_in_one(bucket: Bucket, key: str, position: int, size: int) -> Iterator[bytes]:
    with S3BlobReader(bucket, key, size) as reader:
        while block := reader.read(position, SCAN_BYTES):
            yield block
            position += len(block)


def _block(bucket: Bucket, key: str, start: int, stop: int) -> bytes:
    return patiently(partial(_fetch, bucket, key, start, stop))


def _fetch(bucket: Bucket, key: str, start: int, stop: int) -> bytes:
    parts = []
    while start < stop:
        parts.append(_given(bucket, key, start, stop))
        start += len(parts[-1])
    return b"".join(parts)


def _given(bucket: Bucket, key: str, start: int, stop: int) -> bytes:
    """Of the bytes from `start` up to `stop` those, at least one, that the server gives in one answer."""
    stream = bucket.stream(key, start, stop)
    try:
        if stream.position < start:
            raise RangesIgnored(f"the range {start}-{stop - 1} was answered with the bytes from {stream.position} on")
        wanted = min(stop, stream.stop) - start
        data = stream.read(wanted)
        if len(data) < wanted:
            raise StoreUnavailable(f"a stream of {wanted} bytes ended early")
        return data
    finally:
        stream.close()


def patiently(work: Callable[[], T]) -> T:
    """Do what reads a stream, and do it again if the stream broke: botocore repeats only up to the answer's head."""
    for _ in range(REPEATS):
        try:
            return work()
        except (KeyMissing, RangeMissing, RangesIgnored):
            raise
        except StoreUnavailable:
            continue
    return work()
