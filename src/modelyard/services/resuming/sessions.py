"""What an upload that goes on is to its client, and what it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import asdict, dataclass, field

import orjson

from modelyard.access.tokens import digest_of
from modelyard.blobs.resumable import Checkpoint, SentPart
from modelyard.blobs.store import Buffer
from modelyard.clock import Milliseconds
from modelyard.errors import BadRequest, Conflict, Gone
from modelyard.registry.tables import Upload
from modelyard.services.files.locating import Address, FileRequest
from modelyard.terms.digests import DigestCheck
from modelyard.terms.paths import OwnerKind, OwnerRef


class WrongOffset(Conflict):
    """409 for bytes that do not go on where the upload is; it tells where that is."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"The upload is at offset {offset}")
        self.offset = offset


class InconsistentLength(BadRequest):
    """400 for a length that is not the one that was told before, or not that of the bytes."""


class Superseded(Conflict):
    """409 for a request whose upload another one has taken over."""

    def __init__(self) -> None:
        super().__init__("Another request goes on with this upload")
        self.headers["Connection"] = "close"


class UploadLost(Gone):
    """410 for an upload that can never be finished."""

    def __init__(self) -> None:
        super().__init__("The upload cannot be finished; begin it again")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a client asks for at the beginning, and what must hold in the end as well."""

    conditions: Mapping[str, str] = field(default_factory=dict)  # headers such as If-None-Match
    sha256: str | None = None  # of the whole file, in hex
    status: str | None = None  # that the whole package gets
    metadata: str | None = None  # what the client wants to be told again
    parts: int | None = None  # how many come, in any order; None: bytes come in theirs
    secret: str | None = None  # in hex, which signs the URLs of parts
    holder: str | None = None  # the digest of the token that parts come by

    def encoded(self) -> str:
        """As it is kept."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def decoded(cls, text: str) -> Terms:
        """As it was kept."""
        return cls(**orjson.loads(text))


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that are to go on with an upload."""

    offset: int
    content: AsyncIterator[Buffer]
    declared: int | None  # how many they are; None: it is not told
    length: int | None = None  # of the whole file, told only now
    ends: bool = False  # they are the last, so that the length is known when they are there
    check: DigestCheck | None = None  # of these bytes alone; nothing is kept where it does not match


@dataclass(frozen=True, slots=True)
class Session:
    """An upload as it is now."""

    uid: str
    address: Address
    length: int | None  # bytes
    offset: int  # bytes that are durable; the length only when the file is there
    finished: bool
    sha256: str | None  # of the file that is there
    expires_at: Milliseconds
    metadata: str | None


def session_of(upload: Upload) -> Session:
    """What a row tells."""
    metadata = Terms.decoded(upload.terms).metadata
    finished = upload.state == "finished"
    sha256 = upload.sha256 if finished else None
    return Session(
        upload.uid, address_of(upload), upload.length, upload.size, finished, sha256, upload.expires_at, metadata
    )


def address_of(upload: Upload) -> Address:
    """Where the file is to be."""
    kind = OwnerKind(upload.owner_kind)
    key = upload.owner_key if kind is OwnerKind.LOGGED_MODEL else int(upload.owner_key)
    return Address(upload.project_id, OwnerRef(kind, key), upload.name)


def request_of(upload: Upload, credential: str) -> FileRequest:
    """The request of whoever goes on with an upload."""
    return FileRequest(digest_of(credential), address_of(upload))


def checkpoint_of(parts: Iterable[tuple[int, int, str]], upload: Upload, previous: int) -> Checkpoint:
    """Where a store goes on; `previous`: the generation of whoever wrote last before."""
    sent = [SentPart(*part) for part in parts]
    return Checkpoint(upload.uid, upload.size, upload.hash_state, upload.place, sent, upload.generation, previous)
