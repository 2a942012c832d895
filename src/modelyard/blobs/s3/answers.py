"""What a server answers: errors, the bytes of objects, ages. What it leaves out is asked for otherwise, or refused."""

from __future__ import annotations

import io
import math
import os
import re
import select
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from modelyard.blobs.store import StoreFull, StoreUnavailable

UNDATED = math.inf  # of what the server gives no date for: it is never old

_NO_ROOM = frozenset({"QuotaExceeded", "InsufficientStorage", "EntityTooLarge", "XMinioStorageFull"})
_INSUFFICIENT_STORAGE = 507
_UNSUPPORTED = frozenset({"NotImplemented", "MethodNotAllowed"})
_NOT_IMPLEMENTED = (405, 501)
_NOT_FOUND = 404
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL = 206
_AS_THEY_ARE = frozenset({None, "", "identity", "aws-chunked"})  # the last is said of uploads, and by some kept

END_BYTES = 4096  # of an answer, by whose reading urllib3 sees that it is over, and keeps the connection

MUCH_BYTES = 256 << 10  # that are worth a turn of whoever hands them on
MUCH_SECONDS = 0.2  # for which they are waited for

_CONTENT_RANGE = re.compile(r"bytes[ =]+(\d+)-(\d+)/(\d+|\*)", re.IGNORECASE)


class KeyMissing(StoreUnavailable):
    """There is no object of that key, or no upload of that id."""


class UploadMissing(KeyMissing):
    """There is no upload of that id, as the server says in so many words."""


class RangeMissing(StoreUnavailable):
    """The object ends before the range begins."""


class Unsupported(StoreUnavailable):
    """The server does not have the operation."""


class Stream:
    """The bytes of an object from `position` up to `stop`, as they arrive; `total` is the size of the whole object.

    A server may begin earlier than it was asked to, and give more or less than that: RFC 9110 lets it ignore ranges.
    """

    def __init__(self, body: BinaryIO, position: int, stop: int, total: int) -> None:
        self.position = position
        self.stop = stop
        self.total = total
        self.is_whole = (position, stop) == (0, total)
        self._body = body
        self._bufferless = False  # the answer's buffer is known to be empty

    def read(self, length: int) -> bytes:
        """The next `length` bytes, fewer only where the stream ends. Raises StoreUnavailable."""
        with s3_errors():
            data = self._body.read(min(length, self.stop - self.position))
        self._bufferless = False
        self.position += len(data)
        return data

    def read_into(self, room: memoryview) -> int:
        """As `read`, but into memory that is there, perhaps fewer: how many bytes. Raises StoreUnavailable.

        http.client's own answer is asked where it can be: urllib3 makes a new object of each block, whose memory the
        processor's cache never has.
        """
        answer = self._counted()
        if answer is None:
            data = self.read(len(room))
            room[: len(data)] = data
            return len(data)
        room = room[: self.stop - self.position - END_BYTES]
        with s3_errors():
            if _bare_socket(answer) is None:
                size: int = answer.readinto(room)
            else:  # one read of much leaves nothing in its buffer, and what follows can be spliced
                size = answer.fp.readinto1(room)
                answer.length -= size
                self._bufferless = len(room) > io.DEFAULT_BUFFER_SIZE
        self._went_on(answer, size)
        return size

    @property
    def splices(self) -> bool:
        """Whether the next bytes can be had by `splice`."""
        answer = self._counted() if self._bufferless else None
        return answer is not None and _bare_socket(answer) is not None

    def splice(self, pipe: int, length: int) -> int:
        """As `read`, but from the socket to an empty pipe, perhaps fewer: how many bytes. Raises StoreUnavailable."""
        answer = self._counted()
        source = answer and _bare_socket(answer)
        if answer is None or source is None:
            raise ValueError("not the bytes of a bare socket")
        with s3_errors():
            size = _spliced(source, pipe, min(length, self.stop - self.position - END_BYTES))
        answer.length -= size
        self._went_on(answer, size)
        return size

    def _counted(self) -> Any | None:  # noqa: ANN401 - http.client's answer, of which its types tell too little
        """http.client's answer, if its bytes are those that are left, as they are, and more than its end."""
        left = self.stop - self.position
        answer: Any = getattr(getattr(self._body, "_raw_stream", None), "_fp", None)
        return answer if left > END_BYTES and isinstance(answer, HTTPResponse) and answer.length == left else None

    def _went_on(self, answer: Any, size: int) -> None:  # noqa: ANN401 - see `_counted`
        body: Any = self._body
        body._raw_stream.length_remaining = answer.length
        self.position += size

    def skip_to(self, position: int, step: int) -> None:
        """Drop the bytes before a position, so many at a time. Raises StoreUnavailable."""
        while self.position < position:
            if not self.read(min(step, position - self.position)):
                raise StoreUnavailable(f"a stream of {self.total} bytes ended early")

    def close(self) -> None:
        """Give the connection back, or up where bytes are still to come."""
        self._body.close()


def content_range(answer: Mapping[str, Any]) -> tuple[int, int, int | None] | None:
    """First byte, end and size of the whole (None: not told) that a Content-Range says (RFC 9110, 14.4); None: none."""
    found = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", "").strip())
    if found is None:
        return None
    first, last, total = found.groups()
    return int(first), int(last) + 1, None if total == "*" else int(total)


def is_partial(answer: Mapping[str, Any]) -> bool:
    """Whether the answer is a part of what it was asked for."""
    return bool(answer["ResponseMetadata"]["HTTPStatusCode"] == _PARTIAL)


def require_bytes_as_they_are(answer: Mapping[str, Any]) -> None:
    """Raise StoreUnavailable where something on the way has compressed the bytes, which nobody asked for."""
    encoding = answer.get("ContentEncoding")
    if encoding not in _AS_THEY_ARE:
        raise StoreUnavailable(f"the bytes of an object arrived in the encoding {encoding!r}")


def _bare_socket(answer: Any) -> socket.socket | None:  # noqa: ANN401 - http.client's answer
    """The socket that an answer comes from, if its bytes are the answer's, as by TLS they are not; where splice is."""
    found = getattr(getattr(answer.fp, "raw", None), "_sock", None)
    return found if type(found) is socket.socket and hasattr(os, "splice") else None


def _spliced(source: socket.socket, pipe: int, length: int) -> int:
    """Move what has come to a pipe, once much has, or anything and a moment has passed. Raises OSError."""
    arrival, patience = select.poll(), source.gettimeout()
    arrival.register(source, select.POLLIN)
    _await_much(source, arrival, length)
    while True:
        with suppress(BlockingIOError):
            return os.splice(source.fileno(), pipe, length, flags=os.SPLICE_F_NONBLOCK)
        if not arrival.poll(None if patience is None else patience * 1000):
            raise TimeoutError("the storage has sent nothing for a while")


def _await_much(source: socket.socket, arrival: select.poll, length: int) -> None:
    """Wait a moment for so many bytes, or for much: a storage that writes little at a time would wake us for each."""
    source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, min(length, MUCH_BYTES))
    try:
        arrival.poll(MUCH_SECONDS * 1000)
    finally:
        source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


@contextmanager
def s3_errors() -> Iterator[None]:
    """Raise a BlobError for everything that botocore, or the connection below it, raises inside."""
    try:
        yield
    except ClientError as error:
        raise _translated(error) from error
    except (BotoCoreError, HTTPClientError, HTTPError, OSError) as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
    except (ResponseParserError, LookupError, ValueError, TypeError, AttributeError) as error:
        # What botocore makes of an answer in another shape, and a missing field.
        raise StoreUnavailable(f"the answer is not one of S3: {type(error).__name__}: {error}") from error


def status_of(error: ClientError) -> int | None:
    """The status of an answer that is an error."""
    status: int | None = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


def _translated(error: ClientError) -> StoreUnavailable | StoreFull:
    status = status_of(error)
    code = error.response.get("Error", {}).get("Code")
    if code == "InvalidRange" or status == _RANGE_NOT_SATISFIABLE:
        return RangeMissing(str(error))
    if code == "NoSuchUpload":
        return UploadMissing(str(error))
    if code == "NoSuchKey" or (status == _NOT_FOUND and code != "NoSuchBucket"):
        return KeyMissing(str(error))
    if code in _NO_ROOM or status == _INSUFFICIENT_STORAGE:
        return StoreFull(str(error))
    if code in _UNSUPPORTED or status in _NOT_IMPLEMENTED:
        return Unsupported(str(error))
    return StoreUnavailable(str(error))
