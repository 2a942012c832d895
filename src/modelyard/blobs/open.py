"""The one place that knows which URL is which store."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.store import BlobStore
from modelyard.environment import trim_variables
from modelyard.settings import Settings, SettingsError

FILE_SCHEME = "file://"
_S3_URL = re.compile(r"s3://([A-Za-z0-9._-]{1,255})(?:/([^?#]*))?")  # names of buckets as botocore takes them


def open_store(settings: Settings, url: str | None = None) -> BlobStore:
    """The store at a `file:///path` or `s3://bucket/prefix` URL, by default the one that the settings name.

    Raises SettingsError where the URL names none, or what it needs is not installed or set up, and StoreUnavailable.
    """
    chosen = url or settings.effective_blob_url
    if chosen.startswith("file:///"):
        return LocalBlobStore(Path(chosen.removeprefix(FILE_SCHEME)), direct=settings.direct_io)
    parts = _S3_URL.fullmatch(chosen)
    if parts is None:
        raise SettingsError("the URL of a blob store is file:///path or s3://bucket/prefix")
    return _open_s3(parts[1], unquote(parts[2] or "").strip("/"), settings)


def _open_s3(bucket: str, prefix: str, settings: Settings) -> BlobStore:
    try:
        from modelyard.blobs.s3.bucket import Bucket  # noqa: PLC0415 - an extra that others do without
        from modelyard.blobs.s3.connection import connect  # noqa: PLC0415 - as above
        from modelyard.blobs.s3.store import S3BlobStore  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise SettingsError(f"s3://{bucket} needs an extra: pip install 'modelyard[s3]' ({error})") from error
    try:
        trim_variables("AWS_")
        connection = connect(settings.s3_region, settings.s3_addressing)
    except ValueError as error:
        raise SettingsError(f"s3://{bucket}: {error}") from error
    return S3BlobStore(Bucket(connection, bucket, prefix))
