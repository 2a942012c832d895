"""What clients may do with the blob store by themselves, where it can be reached by them."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelyard.access.promises import Place, Promise, Promises
from modelyard.blobs.remote import DirectUpload, RemoteBlobStore, UploadedData
from modelyard.blobs.store import BlobMissing, BlobStore
from modelyard.clock import now
from modelyard.errors import BadRequest
from modelyard.services.files.ingest import DigestMismatch, Hold
from modelyard.services.files.offers import OpenOffers
from modelyard.settings import Settings
from modelyard.terms.digests import DigestCheck

PASSING = "Uploads pass through this server"
FINISHING_SECONDS = 3600  # after the last moment of an upload, to have it taken over


@dataclass(frozen=True, slots=True)
class Offer:
    """An upload that a client may carry out by itself within `seconds`; `id` has it taken over afterwards."""

    id: str
    seconds: int
    upload: DirectUpload


@dataclass(frozen=True, slots=True)
class Remote:
    """A store that clients can reach. The methods block."""

    store: RemoteBlobStore
    redirect_seconds: int | None  # for which a download's URL works; None: downloads pass through here
    upload_seconds: int
    promises: Promises | None  # None: uploads pass through here
    offers: OpenOffers = field(default_factory=OpenOffers)

    def offer(self, place: Place, size: int, sha256: str | None) -> Offer | None:
        """Begin an upload of `size` bytes; None where it has to pass through here."""
        if self.promises is None or size == 0 or not self.offers.has_room(place.user_id, now()):
            return None
        upload = self.store.offer_upload(size, self.upload_seconds)
        if upload is None:
            return None
        expires_at = now() + (self.upload_seconds + FINISHING_SECONDS) * 1000
        self.offers.note(place.user_id, upload.id, expires_at)
        promise = Promise(upload.id, size, sha256, expires_at)
        return Offer(self.promises.sign(promise, place), self.upload_seconds, upload)

    def verified(self, place: Place, offer_id: str, hold: Hold, representation: DigestCheck) -> UploadedData:
        """The data that was uploaded after an offer, when all that was claimed of it holds.

        The size is the store's; the digest is that of the bytes, which are read back: S3 knows only a checksum of
        checksums for what came in parts. Raises UnknownUpload, what `hold` does, DigestMismatch and BadRequest.
        """
        if self.promises is None:
            raise BadRequest(PASSING)
        promise = self.promises.read(offer_id, place, now())
        hold(promise.size)
        try:
            data = self.store.uploaded(promise.upload_id)
        except BlobMissing as error:
            raise BadRequest("The upload is not complete") from error
        if data.size != promise.size:
            raise BadRequest(f"The upload has {data.size} bytes, not {promise.size}")
        if promise.sha256 not in {None, data.digest()} or not representation.matches(data.digest()):
            raise DigestMismatch
        self.offers.end(place.user_id, promise.upload_id)
        return data


def remote_of(store: BlobStore, settings: Settings) -> Remote | None:
    """The store as clients may use it; None where they cannot reach it."""
    if not isinstance(store, RemoteBlobStore):
        return None
    secret = settings.secret_key.encode() if settings.secret_key else store.secret()
    return Remote(
        store,
        settings.s3_redirect_seconds if settings.s3_redirect else None,
        settings.s3_upload_seconds,
        Promises(secret) if secret else None,
    )
