"""The S3 operations that the store is made of, on keys below one prefix of one bucket.

Nothing here depends on conditional PUT, on versioning or on checksums beyond MD5 and SHA-256 signatures, which many
servers that call themselves S3-compatible do not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.blobs.s3.answers import Stream, s3_errors
from modelyard.blobs.s3.connection import Connection


@dataclass(frozen=True, slots=True)
class Listed:
    """An object: `size` in bytes, `modified` in seconds since 1970."""

    key: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """A multipart upload that is neither completed nor aborted; `initiated` in seconds since 1970."""

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

    def put(self, key: str, body: bytes | bytearray) -> None:
        """Create or replace an object, in one request."""
        with s3_errors():
            self._client.put_object(**self._at(key), Body=body)

    def get(self, key: str) -> tuple[bytes, float]:
        """A small object whole, and when it was last written. Raises KeyMissing."""
        with s3_errors():
            answer = self._client.get_object(**self._at(key))
            with answer["Body"] as body:
                return body.read(), answer["LastModified"].timestamp()

    def stream(self, key: str, start: int, stop: int) -> Stream:
        """The bytes of an object from `start` up to `stop`, at least one. Raises KeyMissing and RangeMissing."""
        with s3_errors():
            answer = self._client.get_object(**self._at(key), Range=f"bytes={start}-{stop - 1}")
            return Stream(answer["Body"], int(answer["ContentRange"].rpartition("/")[2]))

    def head(self, key: str) -> Listed:
        """Size and age of an object. Raises KeyMissing."""
        with s3_errors():
            answer = self._client.head_object(**self._at(key))
            return Listed(key, answer["ContentLength"], answer["LastModified"].timestamp())

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        with s3_errors():
            self._client.delete_object(**self._at(key))

    def list(self, prefix: str) -> Iterator[Listed]:
        """The objects whose keys begin with `prefix`, by ascending key."""
        pages = self._client.get_paginator("list_objects_v2")
        with s3_errors():
            for page in pages.paginate(Bucket=self.name, Prefix=self._prefix + prefix):
                for found in page.get("Contents", ()):
                    yield Listed(self._own(found["Key"]), found["Size"], found["LastModified"].timestamp())

    def create_upload(self, key: str) -> str:
        """Begin a multipart upload, and return its id."""
        with s3_errors():
            return str(self._client.create_multipart_upload(**self._at(key))["UploadId"])

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes | bytearray) -> Part:
        """Upload one part, numbered from 1 on. Raises KeyMissing where the upload was aborted."""
        with s3_errors():
            answer = self._client.upload_part(**self._at(key), UploadId=upload_id, PartNumber=number, Body=body)
            return Part(number, answer["ETag"])

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
        with s3_errors():
            self._client.complete_multipart_upload(
                **self._at(key), UploadId=upload_id, MultipartUpload={"Parts": named}
            )

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Remove an unfinished upload and its parts. Raises KeyMissing where it has ended."""
        with s3_errors():
            self._client.abort_multipart_upload(**self._at(key), UploadId=upload_id)

    def pending_uploads(self, prefix: str) -> Iterator[PendingUpload]:
        """The unfinished uploads to keys that begin with `prefix`."""
        pages = self._client.get_paginator("list_multipart_uploads")
        with s3_errors():
            for page in pages.paginate(Bucket=self.name, Prefix=self._prefix + prefix):
                for found in page.get("Uploads", ()):
                    yield PendingUpload(self._own(found["Key"]), found["UploadId"], found["Initiated"].timestamp())

    def list_parts(self, key: str, upload_id: str) -> Iterator[Listed]:
        """The parts of an unfinished upload. Raises KeyMissing where it has ended."""
        pages = self._client.get_paginator("list_parts")
        with s3_errors():
            for page in pages.paginate(**self._at(key), UploadId=upload_id):
                for found in page.get("Parts", ()):
                    yield Listed(key, found["Size"], found["LastModified"].timestamp())

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

    def _at(self, key: str) -> dict[str, Any]:
        return {"Bucket": self.name, "Key": self._prefix + key}

    def _own(self, key: str) -> str:
        return key.removeprefix(self._prefix)
