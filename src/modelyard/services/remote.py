"""What clients may do with the blob store by themselves, where it can be reached by them."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.blobs.remote import RemoteBlobStore
from modelyard.blobs.store import BlobStore
from modelyard.settings import Settings


@dataclass(frozen=True, slots=True)
class Remote:
    """A store that clients can reach, and for how many seconds each kind of URL is to work."""

    store: RemoteBlobStore
    redirect_seconds: int | None  # None: downloads pass through here


def remote_of(store: BlobStore, settings: Settings) -> Remote | None:
    """The store as clients may use it; None where they cannot reach it."""
    if not isinstance(store, RemoteBlobStore):
        return None
    return Remote(store, settings.s3_redirect_seconds if settings.s3_redirect else None)
