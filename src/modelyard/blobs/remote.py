"""What a store can do besides when clients reach it themselves: give out URLs that carry their own permission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from modelyard.blobs.store import BlobStore, Digest


@dataclass(frozen=True, slots=True)
class DirectUpload:
    """A multipart upload that a client may carry out by itself, as S3 has it; every URL is a secret.

    Part `n` of `part_size` bytes, the last one with the rest, is PUT to `part_urls[n]`; the ETags of the answers are
    POSTed to `complete_url` in S3's XML, or `abort_url` is DELETEd. There is no URL to PUT the whole object to, nor to
    delete it: such a URL would still work when the bytes have been verified.
    """

    id: str  # by which the store knows it
    part_size: int
    part_urls: Sequence[str]
    complete_url: str
    abort_url: str
    get_url: str


class UploadedData(Protocol):
    """Data that a client has uploaded by itself and that may become a blob. Blocks, as everything in a store."""

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    def digest(self) -> Digest:
        """The SHA-256 of the bytes, which are read back, in bounded memory, and cannot be changed by anybody any more.

        Raises StoreUnavailable.
        """
        ...

    def publish(self) -> None:
        """Make it the blob of its digest; see `BlobWriter.publish`."""
        ...


@runtime_checkable
class RemoteBlobStore(BlobStore, Protocol):
    """A store that clients can reach."""

    def download_url(self, digest: Digest, seconds: int, content_type: str, disposition: str) -> str:
        """A URL that gives the blob with these headers, for so many seconds: a secret. Raises BlobMissing."""
        ...

    def offer_upload(self, size: int, seconds: int) -> DirectUpload | None:
        """Begin an upload of so many bytes, at least one, to be carried out in so many seconds; None if too large."""
        ...

    def uploaded(self, upload_id: str) -> UploadedData:
        """The data of an offered upload that its client has completed. Raises BlobMissing where it has not."""
        ...

    def secret(self) -> bytes | None:
        """What no client knows and every process with the same credentials does; None where they come and go."""
        ...
