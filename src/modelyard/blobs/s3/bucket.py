"""The S3 operations that the store is made of, on keys below one prefix of one bucket.

Nothing here depends on conditional PUT, on versioning or on checksums beyond MD5 and SHA-256 signatures, which many
servers that call themselves S3-compatible do not have. Nor on any header of an answer that there is a way without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from botocore.exceptions import ClientError

from modelyard.blobs.s3.answers import (
    UNDATED,
    KeyMissing,
    RangeMissing,
    Stream,
    UploadMissing,
    content_range,
    is_partial,
    require_bytes_as_they_are,
    s3_errors,
    status_of,
)
from modelyard.blobs.s3.bodies import Body
from modelyard.blobs.s3.connection import Connection
from modelyard.blobs.s3.pages import OBJECTS, PARTS, UPLOADS, entries
from modelyard.blobs.s3.parts import Parts
from modelyard.blobs.s3.remembered import Remembered
from modelyard.blobs.store import StoreUnavailable

log = structlog.get_logger()

_MAY_WANT_A_SIGNATURE = frozenset({400, 401, 403, 501})


@dataclass(frozen=True, slots=True)
class Listed:
    """An object: `size` in bytes, `modified` in seconds since 1970, UNDATED where the server does not tell."""

    key: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """A multipart upload that is neither completed nor aborted; `initiated` in seconds since 1970, or UNDATED."""

    key: str
    upload_id: str
    initiated: float


@dataclass(frozen=True, slots=True)
class Part:
    """An uploaded part, as completing the upload names it."""

    number: int
    etag: str


class Bucket:
    """A bucket's objects below a prefix. Every method may raise StoreUnavailable, and those that write StoreFull."""

    def __init__(self, connection: Connection, name: str, prefix: str) -> None:
        self.name = name
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = connection.client
        self._connection = connection
        self._parts = Parts(connection.client, connection.credentials)
        self.remembered = Remembered()
        self._signs = False  # long bodies
        self._said: set[str] = set()

    def put(self, key: str, body: bytes | Body) -> None:
        """Create or replace an object, in one request."""
        with s3_errors():
            self._send(self._client.put_object, body, self._at(key))

    def get(self, key: str) -> tuple[bytes, float]:
        """A small object whole, and when it was last written (or UNDATED). Raises KeyMissing."""
        with s3_errors():
            answer = self._client.get_object(**self._at(key))
            with answer["Body"] as body:
                return body.read(), self._date(answer.get("LastModified"))

    def stream(self, key: str, start: int, stop: int) -> Stream:
        """The bytes of an object from `start` up to `stop`, at least one; the answer may be of more, and of fewer.

        Raises KeyMissing and RangeMissing.
        """
        with s3_errors():
            answer = self._client.get_object(**self._at(key), Range=f"bytes={start}-{stop - 1}")
        try:
            require_bytes_as_they_are(answer)
            return Stream(answer["Body"], *self._extent(key, answer, start, stop))
        except BaseException:
            answer["Body"].close()
            raise

    def head(self, key: str) -> Listed:
        """Size and age of an object. Raises KeyMissing."""
        with s3_errors():
            answer = self._client.head_object(**self._at(key))
            if "ContentLength" in answer:
                return Listed(key, answer["ContentLength"], self._date(answer.get("LastModified")))
            (found,) = self.list(key)
            return found

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        with suppress(KeyMissing), s3_errors():
            self._client.delete_object(**self._at(key))

    def list(self, prefix: str) -> Iterator[Listed]:
        """The objects whose keys begin with `prefix`, by ascending key."""
        for found in entries(self._client.list_objects_v2, OBJECTS, Bucket=self.name, Prefix=self._prefix + prefix):
            with s3_errors():
                listed = Listed(self._own(found["Key"]), found["Size"], self._date(found.get("LastModified")))
            if not listed.key.startswith(prefix):  # not decoded, or of somebody else: then others are missing, too
                raise StoreUnavailable(f"{found['Key']!r} is listed among the objects in {self._prefix + prefix!r}")
            yield listed

    def create_upload(self, key: str) -> str:
        """Begin a multipart upload, and return its id."""
        with s3_errors():
            return str(self._client.create_multipart_upload(**self._at(key))["UploadId"])

    def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Part:
        """Upload one part, numbered from 1 on. Raises KeyMissing where the upload was aborted."""
        with s3_errors():
            at = self._at(key)
            gone, etag = self._parts.send(at["Key"], upload_id, number, body)
            if not gone:
                numbered = at | {"UploadId": upload_id, "PartNumber": number}
                etag = self._send(self._client.upload_part, body, numbered).get("ETag")
                self._parts.follow(body, at["Key"])
            return Part(number, etag or _usual_etag(body))

    def copy(self, source: str, key: str) -> None:
        """Create or replace an object with the bytes of another, of at most 5 GiB. Raises KeyMissing."""
        with s3_errors():
            self._client.copy_object(**self._at(key), CopySource=self._at(source))

    def copy_part(self, source: str, start: int, stop: int, key: str, upload_id: str, number: int) -> Part:
        """Make a range of an object of more than 5 MiB a part. Raises KeyMissing."""
        with s3_errors():
            answer = self._client.upload_part_copy(
                **self._at(key),
                UploadId=upload_id,
                PartNumber=number,
                CopySource=self._at(source),
                CopySourceRange=f"bytes={start}-{stop - 1}",
            )
            return Part(number, answer["CopyPartResult"]["ETag"])

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """Make the parts one object. Raises KeyMissing where the upload was aborted."""
        named = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        try:
            with s3_errors():
                self._client.complete_multipart_upload(
                    **self._at(key), UploadId=upload_id, MultipartUpload={"Parts": named}
                )
        except UploadMissing:
            self.head(key)  # is there if botocore has asked once more since the first answer was lost

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Remove an unfinished upload and its parts. Raises KeyMissing where it has ended."""
        with s3_errors():
            self._client.abort_multipart_upload(**self._at(key), UploadId=upload_id)

    def pending_uploads(self, prefix: str) -> Iterator[PendingUpload]:
        """The unfinished uploads to keys that begin with `prefix`."""
        for found in entries(
            self._client.list_multipart_uploads, UPLOADS, Bucket=self.name, Prefix=self._prefix + prefix
        ):
            with s3_errors():
                upload = PendingUpload(self._own(found["Key"]), found["UploadId"], self._date(found.get("Initiated")))
            yield upload

    def list_parts(self, key: str, upload_id: str) -> Iterator[Listed]:
        """The parts of an unfinished upload. Raises KeyMissing where it has ended."""
        for found in entries(self._client.list_parts, PARTS, **self._at(key), UploadId=upload_id):
            yield Listed(key, found.get("Size", 0), self._date(found.get("LastModified")))

    def presign(self, operation: str, key: str, seconds: int, **parameters: object) -> str:
        """A URL that lets whoever has it do one operation for so many seconds: a secret. Asks nobody."""
        with s3_errors():
            return str(
                self._client.generate_presigned_url(operation, Params=self._at(key) | parameters, ExpiresIn=seconds)
            )

    def secret(self) -> bytes | None:
        """See `Connection.secret`. Temporary credentials that are over are renewed first, which may fail."""
        with s3_errors():
            return self._connection.secret()

    def _send(self, operation: Callable[..., dict[str, Any]], body: bytes | Body, at: dict[str, Any]) -> dict[str, Any]:
        """Send a body; what is long is not hashed for a signature unless the server wants that.

        The hash of the whole file is ours, and the second one costs as much. A policy may forbid it all the same
        (`s3:x-amz-content-sha256`), and a server may not know it: each says so in words of its own, so any refusal is
        held against the same request with a signature.
        """
        if isinstance(body, bytes):
            return operation(**at, Body=body)
        body.signed = self._signs
        body.seek(0)
        try:
            return operation(**at, Body=body)
        except ClientError as error:
            if body.signed or status_of(error) not in _MAY_WANT_A_SIGNATURE:
                raise
        body.signed = True
        body.seek(0)
        answer = operation(**at, Body=body)
        self._signs = True
        self._say("the object storage wants bodies signed", "each is hashed twice")
        return answer

    def _extent(self, key: str, answer: dict[str, Any], start: int, stop: int) -> tuple[int, int, int]:
        """Where the bytes of an answer begin and end, and the size of the whole object."""
        told, length = content_range(answer), answer.get("ContentLength")
        if told is not None:
            first, end, total = told[0], told[1], self.head(key).size if told[2] is None else told[2]
        elif is_partial(answer):  # then its length has to tell that it is what was asked for
            total = self.head(key).size
            first, end = start, min(stop, total) if length == min(stop, total) - start else start
        else:
            total = self.head(key).size if length is None else length
            first, end = 0, total
        if start >= total:
            raise RangeMissing(f"{key} has {total} bytes")
        if first < start:
            self._say("the object storage ignores ranges", "what is read from the middle is read from the beginning")
        if not first <= start < end <= total:
            raise StoreUnavailable(f"not the bytes {start}-{stop - 1} of {key}: {answer.get('ContentRange')!r}")
        return first, end, total

    def _date(self, moment: datetime | None) -> float:
        if moment is not None:
            return moment.timestamp()
        self._say("the object storage does not date its objects", "gc leaves what has no date")
        return UNDATED

    def _say(self, what: str, consequence: str) -> None:
        if what not in self._said:  # of every object
            self._said.add(what)
            log.warning(what, consequence=consequence)

    def _at(self, key: str) -> dict[str, Any]:
        return {"Bucket": self.name, "Key": self._prefix + key}

    def _own(self, key: str) -> str:
        return key.removeprefix(self._prefix)


def _usual_etag(body: Body) -> str:
    """The ETag of a part for which the server gives none: most likely it is the usual one."""
    md5 = hashlib.md5(usedforsecurity=False)
    for piece in body:
        md5.update(piece)
    return f'"{md5.hexdigest()}"'
