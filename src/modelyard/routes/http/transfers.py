"""Uploads and downloads as HTTP, for every route that carries files: conditions, digests, ranges and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Literal

from fastapi import Request, Response
from pydantic import Field

from modelyard.access.tokens import read_credential
from modelyard.connection.bulk import FILE_BEGINS
from modelyard.errors import BadRequest, PreconditionFailed, Unauthorized
from modelyard.registry.files.locations import StoredFile
from modelyard.routes.http.bodies import read_query
from modelyard.routes.http.params import Parameters, validate
from modelyard.services.files.bypass import Bypass
from modelyard.services.files.ingest import Expectations
from modelyard.services.files.locating import Address, FileRequest
from modelyard.services.files.opening import Download
from modelyard.services.files.recording import Precondition
from modelyard.services.files.transfers import Transfers
from modelyard.services.files.uploads import Permit
from modelyard.services.traffic.throttling import UploadSlots
from modelyard.terms.digests import DigestCheck
from modelyard.wire.conditions import CONDITIONS, Outcome, evaluate
from modelyard.wire.digests import MalformedDigest, announced_digests, answered_digests, united
from modelyard.wire.encodings import refuse_encoded
from modelyard.wire.forwarded import FROM_PROXY
from modelyard.wire.headers import RawHeaders, combined, encoded
from modelyard.wire.parts import IDENTITY, MAX_EXPANSION
from modelyard.wire.receive import FORM_OVERHEAD_BYTES, NamingForm, file_pieces, is_form, refuse_unnamed_form
from modelyard.wire.representation import CONTENT_TYPE, Answer, Representation, answer_download, headers_for_nginx
from modelyard.wire.send import BytesResponse, FileResponse

OFFER_HEADER = "x-modelyard-upload"
PROXY_HEADER = "x-sendfile-type"


class UploadOptions(Parameters):
    """Parameters in the query of an upload."""

    status: Literal["default", "hidden"] | None = Field(None, description="Status that the whole package gets.")


def files_of(request: Request) -> Transfers:
    """The services that move files."""
    files: Transfers = request.app.state.files
    return files


async def store(
    request: Request, address: Address, files: Transfers, headers: Mapping[str, str] | None = None
) -> Mapping[str, str]:
    """Take the body of an upload; the answer is the headers that tell the stored file, which is durable by then."""
    credential = read_credential(request.scope["headers"])
    options = validate(UploadOptions, read_query(request))
    headers = headers or combined(request.scope["headers"])
    expectations = expectations_of(headers)
    precondition = precondition_of(headers)
    wanted = FileRequest.by(credential, address)
    permit = await files.uploads.authorize(wanted, _declared_size(headers))
    precondition(permit.current)
    slots: UploadSlots = request.app.state.upload_slots
    with slots.taken(wanted.holder):
        if (offer_id := headers.get(OFFER_HEADER)) is not None:
            await _refuse_body(request)
            stored = await files.bypass.take_over(permit, offer_id, expectations, precondition, options.status)
        else:
            begins = _beginning(request, headers, permit)
            pieces = file_pieces(request.stream(), headers.get("content-type"), expectations.body, begins)
            stored = await files.uploads.receive(permit, pieces, expectations, precondition, options.status)
    return representation_of(stored).validator_headers | answered_digests(headers, stored.sha256)


async def store_named(
    request: Request, address_of: Callable[[str, Mapping[str, str]], tuple[Address, Precondition]], files: Transfers
) -> StoredFile:
    """Take the file in a form that a browser sends; it is durable by then.

    `address_of` makes its address, and what must hold of the file that is there, of its name and the fields before it.
    """
    credential, headers = read_credential(request.scope["headers"]), combined(request.scope["headers"])
    refuse_encoded(headers)
    form = NamingForm(request.stream(), headers.get("content-type"))
    address, precondition = address_of(*await form.head())
    wanted = FileRequest.by(credential, address)
    permit = await files.uploads.authorize(wanted, _declared_size(headers))
    precondition(permit.current)
    slots: UploadSlots = request.app.state.upload_slots
    with slots.taken(wanted.holder):
        return await files.uploads.receive(permit, form.pieces(), Expectations({}, {}, None), precondition, None)


async def serve(request: Request, address: Address, files: Transfers, *, signed_in: bool = False) -> Response:
    """The bytes, whole or in ranges, as conditions and ranges of RFC 9110 ask; `signed_in`: never without a token."""
    credential = read_credential(request.scope["headers"])
    if signed_in and credential is None:
        raise Unauthorized
    wanted = FileRequest.by(credential, address)
    if files.bypass.redirects and (redirected := await _redirect(request, wanted, files.bypass)):
        return redirected
    return hand_out(request, await files.downloads.open(wanted, counts=request.method == "GET"), files)


def hand_out(request: Request, opened: Download, files: Transfers, more: RawHeaders = ()) -> Response:
    """The answer to a request for a file that is open; `more`: headers beside the usual ones."""
    headers = combined(request.scope["headers"])
    answer = _answered(request, headers, opened)
    if request.scope[FROM_PROXY] and (own := _for_nginx(request.method, headers, opened, files.bypass)):
        opened.close()
        return BytesResponse(200, own + more, b"")
    return _sent(answer, opened, files, more)


def answer_of(request: Request, opened: Download, files: Transfers) -> Response:
    """As `hand_out`, but never by a proxy, which would keep few of the headers that this answer is given."""
    return _sent(_answered(request, combined(request.scope["headers"]), opened), opened, files, ())


def _answered(request: Request, headers: Mapping[str, str], opened: Download) -> Answer:
    try:
        return answer_download(request.method, headers, representation_of(opened.file))
    except BaseException:
        opened.close()
        raise


def _sent(answer: Answer, opened: Download, files: Transfers, more: RawHeaders) -> Response:
    if opened.reader is not None and answer.parts:
        return FileResponse(
            answer.status,
            answer.headers + more,
            files.downloads.source(opened.file, opened.reader),
            answer.parts,
            answer.framing,
        )
    opened.close()
    return BytesResponse(answer.status, answer.headers + more, _content(opened, answer))


async def _redirect(request: Request, wanted: FileRequest, bypass: Bypass) -> Response | None:
    if not may_be_redirected(request):
        return None
    return redirection(await bypass.download_url(wanted, download_headers))


def may_be_redirected(request: Request) -> bool:
    """Whether a request may be answered by 302 to the store: not HEAD, and no condition.

    The store has other validators than we have, and a client sends its conditions to both. Ranges mean the same there.
    """
    return request.method == "GET" and CONDITIONS.isdisjoint(combined(request.scope["headers"]))


def redirection(url: str | None, more: RawHeaders = ()) -> Response | None:
    """302 to a URL of the store, which is a secret, with more headers; None without one."""
    if url is None:
        return None
    own = encoded({"Location": url, "Cache-Control": "no-store", "Content-Length": "0"})
    return BytesResponse(302, own + more, b"")


def download_headers(file: StoredFile) -> tuple[str, str]:
    """Content-Type and Content-Disposition of a file."""
    return CONTENT_TYPE, representation_of(file).disposition


def _for_nginx(method: str, headers: Mapping[str, str], opened: Download, bypass: Bypass) -> RawHeaders | None:
    """The headers by which nginx sends a large file itself, if it is in front and says so (X-Sendfile-Type, Rack's).

    It takes a range out of the file. Conditions it would hold against its own validators, so those are answered here.
    """
    if bypass.proxy_path is None or headers.get(PROXY_HEADER) != "X-Accel-Redirect":
        return None
    path = bypass.proxy_path(opened.file.sha256)
    if opened.reader is None or method != "GET" or not CONDITIONS.isdisjoint(headers):
        return None
    return headers_for_nginx(headers, representation_of(opened.file), path)


async def _refuse_body(request: Request) -> None:
    async for chunk in request.stream():
        if chunk:
            raise BadRequest(f"A request with {OFFER_HEADER} carries no bytes")


def _content(opened: Download, answer: Answer) -> bytes:
    """What is sent of a small file: all of it, a range, or several with what frames them."""
    content = opened.content or b""
    if answer.status == HTTPStatus.OK:
        return content
    parts = [content[part.start : part.stop] for part in answer.parts]
    if answer.framing is None:
        return b"".join(parts)
    heads = (answer.framing.part_head(part) for part in answer.parts)
    return b"".join(piece for pair in zip(heads, parts, strict=True) for piece in pair) + answer.framing.tail


def representation_of(file: StoredFile) -> Representation:
    """The facts of a file that its answers are made of."""
    return Representation(file.name, file.sha256, file.size, file.created_at // 1000)


def precondition_of(headers: Mapping[str, str]) -> Precondition:
    """The request's `If-Match` and its kin, to be held against the file that the upload would follow."""

    def check(current: StoredFile | None) -> None:
        validators = representation_of(current).validators if current else None
        if evaluate("PUT", headers, validators) is not Outcome.PROCEED:
            raise PreconditionFailed

    return check


def _declared_size(headers: Mapping[str, str]) -> int | None:
    """The least size in bytes that the file can have by its Content-Length; None for a chunked body."""
    length = headers.get("content-length")
    if length is None:
        return None
    form = is_form(headers.get("content-type"))  # in which the file may be encoded
    return max(0, int(length) - FORM_OVERHEAD_BYTES) // MAX_EXPANSION if form else int(length)


def _beginning(request: Request, headers: Mapping[str, str], permit: Permit) -> Callable[[int], None]:
    """Is told at which byte of a form the file begins as it is, from which on its least size is known."""
    place: Callable[[int], None] | None = request.scope.get(FILE_BEGINS)

    def begins(position: int) -> None:
        permit.hold(int(headers.get("content-length", 0)) - position - FORM_OVERHEAD_BYTES)
        if place is not None:
            place(position)

    return begins


def expectations_of(headers: Mapping[str, str]) -> Expectations:
    """What the request says of its bytes. Raises BadRequest for what cannot be held, and UnsupportedMediaType."""
    if "content-range" in headers:
        # RFC 9110 section 14.5: to store a part as if it were the whole would lose the rest silently.
        raise BadRequest("Content-Range is not supported in an upload")
    if headers.get("content-transfer-encoding", "").lower() not in IDENTITY:
        raise BadRequest("Content-Transfer-Encoding is only supported in a part of a form")  # HTTP has none of its own
    refuse_encoded(headers)
    content_type = headers.get("content-type")
    refuse_unnamed_form(content_type)
    try:
        file, body = announced_digests(headers)
        if OFFER_HEADER in headers and not DigestCheck(body, own_sha256=True).matches():
            file = united((file, body))  # which is not that of no bytes, as this request's own body is
    except MalformedDigest as error:
        raise BadRequest(str(error)) from error
    form = body and is_form(content_type)
    return Expectations(file, body, DigestCheck(body, own_sha256=True) if form else None)
