"""Uploads that go on, as all protocols have them: what a request carries, and what an answer tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import Request

from modelyard.access.tokens import digest_of, read_credential
from modelyard.connection.bulk import FILE_BEGINS
from modelyard.errors import BadRequest, ChecksumMismatch, ParameterError
from modelyard.routes.http.known import known_first
from modelyard.routes.http.urls import base_url
from modelyard.routes.http.verified import check_of
from modelyard.services.files.ingest import DigestMismatch
from modelyard.services.files.locating import Address
from modelyard.services.resuming.claims import UploadNotFound
from modelyard.services.resuming.resumable_uploads import ResumableUploads
from modelyard.services.resuming.sessions import Piece, Session, Terms
from modelyard.services.traffic.throttling import UploadSlots
from modelyard.terms.digests import DigestCheck
from modelyard.terms.paths import API, CANDIDATE, UPLOADS, OwnerKind, file_path
from modelyard.wire import resumption, tus
from modelyard.wire.conditions import CONDITIONS
from modelyard.wire.digests import MalformedDigest, announced_digests, etag_of, format_repr_digest
from modelyard.wire.encodings import refuse_encoded
from modelyard.wire.receive import is_form


def uploads_of(request: Request) -> ResumableUploads:
    """The service. Raises UploadNotFound where the store has no such uploads."""
    uploads: ResumableUploads | None = request.app.state.uploads
    if uploads is None:
        raise UploadNotFound
    return uploads


def uid_of(upload_id: str) -> str:
    """An upload's id as it stands in its URL. Raises UploadNotFound for what is none."""
    if not tus.UID.fullmatch(upload_id):
        raise UploadNotFound
    return upload_id


def number_of(headers: Mapping[str, str], name: str) -> int | None:
    """The bytes that a header tells. Raises ParameterError."""
    try:
        return tus.number(headers, name)
    except tus.MalformedHeader as error:
        raise ParameterError(str(error)) from error


def terms_of(headers: Mapping[str, str], status: str | None, metadata: str | None = None) -> Terms:
    """What a creation asks for. Raises BadRequest for digests that cannot be held."""
    try:
        file, _body = announced_digests(headers)
    except MalformedDigest as error:
        raise BadRequest(str(error)) from error
    if file.keys() - {"sha-256"}:
        raise BadRequest("Only sha-256 is verified of an upload that goes on")
    conditions = {condition: headers[condition] for condition in CONDITIONS if condition in headers}
    return Terms(conditions, file["sha-256"].hex() if file else None, status, metadata)


def piece_of(
    request: Request,
    headers: Mapping[str, str],
    offset: int,
    length: int | None = None,
    *,
    ends: bool = False,
    check: DigestCheck | None = None,
) -> Piece:
    """The bytes that a request carries; `check`: what they are held against, in place of `Content-Digest`.

    Raises UnsupportedMediaType for a content coding, and BadRequest for a digest that cannot be read.
    """
    refuse_encoded(headers)
    check = check or check_of(headers)
    begins: Callable[[int], None] | None = request.scope.get(FILE_BEGINS)
    if begins is not None:
        begins(-offset)
    declared = None if "transfer-encoding" in headers else int(headers.get("content-length", "0"))
    return Piece(offset, request.stream(), declared, length, ends=ends, check=check)


async def received(request: Request, uid: str, piece: Piece, address: Address | None = None) -> Session:
    """The upload after a piece. Raises as `ResumableUploads.append`, and TooManyRequests.

    Bytes that are not what their sender has hashed are 400, but 460 to a client of tus, whose own that is.
    """
    credential = read_credential(request.scope["headers"])
    slots: UploadSlots = request.app.state.upload_slots
    with slots.taken(digest_of(credential) if credential is not None else None):
        try:
            return await uploads_of(request).append(credential, uid, piece, address)
        except ChecksumMismatch as error:
            if "tus-resumable" in request.headers:
                raise
            raise DigestMismatch from error


async def put_on(request: Request, address: Address, headers: Mapping[str, str], named: str) -> Session:
    """Go on with an upload, by its id or URL, with a PUT to the file's own URL that says which of its bytes it has.

    Raises BadRequest without such a `Content-Range`, and as `received` does.
    """
    uid = uid_of(named.rpartition("/")[2])
    async with known_first(request):
        place = resumption.content_range(headers.get("content-range", ""))
        if place is None:
            raise BadRequest("Content-Range does not say which bytes of the file these are")
        offset, size, length = place
        if is_form(headers.get("content-type")):
            raise BadRequest("A form cannot go on")
        piece = piece_of(request, headers, offset, length)
        if piece.declared not in {None, size}:
            raise BadRequest("Content-Range and Content-Length contradict each other")
    return await received(request, uid, piece, address)


def location_of(request: Request, session: Session) -> str:
    """The URL of an upload."""
    return f"{base_url(request)}{API}{UPLOADS}/{session.uid}"


def file_location(request: Request, session: Session) -> str:
    """The URL of the file that an upload is, or will be."""
    project, owner, name = session.address.project, session.address.owner, session.address.name
    key = f"{CANDIDATE}{owner.key}" if owner.kind is OwnerKind.CANDIDATE else str(owner.key)
    return base_url(request) + file_path(project, key, name)


def validators_of(session: Session) -> dict[str, str]:
    """What tells the file that an upload has become; nothing before."""
    if session.sha256 is None:
        return {}
    return {"ETag": etag_of(session.sha256), "Repr-Digest": format_repr_digest(session.sha256)}
