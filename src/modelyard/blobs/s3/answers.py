"""The errors that the S3 operations raise, and the bytes that arrive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from modelyard.blobs.store import StoreFull, StoreUnavailable

_NO_ROOM = frozenset({"QuotaExceeded", "InsufficientStorage", "EntityTooLarge", "XMinioStorageFull"})
_INSUFFICIENT_STORAGE = 507
_NOT_FOUND = 404


class KeyMissing(StoreUnavailable):
    """There is no object of that key, or no upload of that id."""


class RangeMissing(StoreUnavailable):
    """The object ends before the range begins."""


class Stream:
    """Bytes as they arrive; `total` is the size of the whole object."""

    def __init__(self, body: BinaryIO, total: int) -> None:
        self.total = total
        self._body = body

    def read(self, length: int) -> bytes:
        """The next `length` bytes, fewer only where the stream ends. Raises StoreUnavailable."""
        with s3_errors():
            return self._body.read(length)

    def close(self) -> None:
        """Give the connection back, or up where bytes are still to come."""
        self._body.close()


@contextmanager
def s3_errors() -> Iterator[None]:
    """Raise a BlobError for everything that botocore, or the connection below it, raises inside."""
    try:
        yield
    except ClientError as error:
        raise _translated(error) from error
    except (BotoCoreError, HTTPClientError, OSError) as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error


def _translated(error: ClientError) -> StoreUnavailable | StoreFull:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = error.response.get("Error", {}).get("Code")
    if code == "InvalidRange":
        return RangeMissing(str(error))
    if code in {"NoSuchKey", "NoSuchUpload"} or (status == _NOT_FOUND and code != "NoSuchBucket"):
        return KeyMissing(str(error))
    if code in _NO_ROOM or status == _INSUFFICIENT_STORAGE:
        return StoreFull(str(error))
    return StoreUnavailable(str(error))
