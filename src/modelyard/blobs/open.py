"""The one place that knows which URL is which store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.store import BlobStore
from modelyard.settings import Settings, SettingsError

FILE_SCHEME = "file://"


def open_store(settings: Settings, url: str | None = None) -> BlobStore:
    """The store at a `file:///path` or `s3://bucket/prefix` URL, by default the one that the settings name.

    Raises SettingsError where the URL names none or what it needs is not installed, and StoreUnavailable.
    """
    chosen = url or settings.effective_blob_url
    if chosen.startswith("file:///"):
        return LocalBlobStore(Path(chosen.removeprefix(FILE_SCHEME)), direct=settings.direct_io)
    parts = urlsplit(chosen)
    if parts.scheme != "s3" or not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError("the URL of a blob store is file:///path or s3://bucket/prefix")
    return _open_s3(parts.netloc, unquote(parts.path).strip("/"), settings)


def _open_s3(bucket: str, prefix: str, settings: Settings) -> BlobStore:
    try:
        from modelyard.blobs.s3.bucket import Bucket  # noqa: PLC0415 - an extra that others do without
        from modelyard.blobs.s3.connection import connect  # noqa: PLC0415
        from modelyard.blobs.s3.store import S3BlobStore  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SettingsError(f"s3://{bucket} needs an extra: pip install 'modelyard[s3]' ({error})") from error
    try:
        connection = connect(settings.s3_region, settings.s3_addressing)
    except ValueError as error:  # botocore's, for an endpoint or a region that is none
        raise SettingsError(f"s3://{bucket}: {error}") from error
    return S3BlobStore(Bucket(connection, bucket, prefix))
