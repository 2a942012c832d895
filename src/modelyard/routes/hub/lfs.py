"""Git LFS's batch API with its basic transfer, and the one in parts that Hugging Face's clients know.

The bytes come by URLs that hold a secret, as clients send no token there: it is bound to one object of one user.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, NotRequired

from fastapi import Request
from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from modelyard.access.tokens import read_credential
from modelyard.errors import BadRequest, Forbidden, NotOffered
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.bodies import bodies_of
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.params import LISTS_BODY_BYTES, Parameters, parameters, stating, validate
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.transferred import TEXT_HEADER
from modelyard.routes.http.urls import base_url
from modelyard.routes.hub.committing import objects_of
from modelyard.routes.hub.common import REPOSITORY, AskedId, hub_router
from modelyard.services.hub import objects as parts
from modelyard.services.hub.objects import MAX_SIZE, Objects, Offer
from modelyard.services.hub.tickets import Right, Wanted
from modelyard.services.traffic.throttling import UploadSlots
from modelyard.terms.repositories import RepositoryId
from modelyard.wire.encodings import refuse_encoded

router = hub_router(f"{REPOSITORY}.git/info/lfs")

MAX_OBJECTS = 1_000  # in one question; clients ask for 256
MULTIPART = "multipart"
SECRET, PART = "ticket", "part"
OBJECT = "/content/{oid}"
Oid = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{64}$"})]
BODY = {
    "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
    "parameters": [
        {"name": SECRET, "in": "query", "required": True, "schema": {"type": "string", "maxLength": 100}},
        {"name": PART, "in": "query", "required": False, "schema": {"type": "integer", "minimum": 1}},
    ],
}


class LfsObject(Parameters):
    """An object that a client has."""

    oid: Annotated[str, stating(pattern="^[0-9a-f]{64}$")] = Field(description="Its SHA-256.")
    size: Annotated[int, stating(minimum=0, maximum=MAX_SIZE)] = Field(description="Its bytes.")


class Batch(Parameters):
    """Objects that are to be sent."""

    operation: str = Field("upload", description="`upload`; downloads have URLs of their own.")
    transfers: list[str] = Field([], max_length=20)
    objects: list[LfsObject] = Field(max_length=MAX_OBJECTS)
    hash_algo: str = "sha256"


class Part(Parameters):
    """A part that was sent."""

    partNumber: int  # noqa: N815 - the API's own name
    etag: str


class Completion(Parameters):
    """All parts of an object."""

    oid: str
    parts: list[Part] = Field(max_length=10_000)  # 2.5 TiB


class Action(TypedDict):
    """Where something is to be sent."""

    href: str
    header: NotRequired[dict[str, str]]


class Actions(TypedDict):
    """What is to be done for an object."""

    upload: Action
    verify: Action


class OfferedObject(TypedDict):
    """An object; without actions it is here already."""

    oid: str
    size: int
    actions: NotRequired[Actions]


class Offers(TypedDict):
    """How objects are to be sent."""

    transfer: str
    objects: list[OfferedObject]
    hash_algo: str


@router.post("/objects/batch", summary="Ask how objects are to be sent", responses=refusing(501))
async def batch(request: Request, call: ApiCall, asked: AskedId, told: Batch = parameters(Batch)) -> Answer[Offers]:
    """Checks role, sizes and quota. What is here is not sent."""
    if told.operation != "upload":
        raise NotOffered("Files are downloaded by their own URLs here, not by LFS")
    if told.hash_algo != "sha256":
        raise BadRequest.plain("Objects are named by their SHA-256")
    wanted = [Wanted(each.oid, each.size) for each in told.objects]
    repository, offers = await objects_of(request).offer(call.credential, asked, wanted)
    multipart = MULTIPART in told.transfers and any(_in_parts(each) for each in offers)
    shown = [_offered(request, repository, each, multipart=multipart) for each in offers]
    content: Offers = {"transfer": MULTIPART if multipart else "basic", "objects": shown, "hash_algo": "sha256"}
    return answer(content)


@router.put(
    OBJECT,
    summary="Send an object, or a part of one",
    openapi_extra=BODY,
    responses={200: {"headers": {"ETag": TEXT_HEADER}}},
)
@Traits(public=True)
async def send(request: Request, _asked: AskedId, oid: Oid) -> Answer[Nothing]:
    """By a URL that was told; no token is needed, but one that is there must be of the same user."""
    objects = objects_of(request)
    right = await _right(request, objects, oid)
    number = _part_number(request)
    refuse_encoded(request.headers)
    length = request.headers.get("content-length")
    declared = int(length) if length is not None else None
    slots: UploadSlots = request.app.state.upload_slots
    with slots.taken(right.token):
        if number is None:
            sha256 = (await objects.receive(right, request.stream(), declared)).sha256
        else:
            sha256 = await objects.receive_part(right, number, request.stream(), declared)
    return answer(NOTHING, {"ETag": f'"{sha256}"'})


@router.post(OBJECT, summary="End an upload in parts")
@Traits(public=True, body=Completion)
async def complete(request: Request, _asked: AskedId, oid: Oid) -> Answer[Nothing]:
    """By the URL that was told, with the ETag of each part."""
    objects = objects_of(request)
    right = await _right(request, objects, oid)
    request.scope["sender"] = right.token
    told = await bodies_of(request).read(request, partial(validate, Completion), LISTS_BODY_BYTES)
    if told.oid != oid:
        raise BadRequest.plain("The object is another one than its URL's")
    numbers = [each.partNumber for each in told.parts]
    if len(set(numbers)) != len(numbers):
        raise BadRequest.plain("A part is named twice")
    await objects.complete(right, {each.partNumber: each.etag.strip('"') for each in told.parts})
    return answer(NOTHING)


@router.post("/verify", summary="Hold that an object has come")
async def verify(
    request: Request, call: ApiCall, asked: AskedId, told: LfsObject = parameters(LfsObject)
) -> Answer[Nothing]:
    """404 for one that is not here, or has another size."""
    await objects_of(request).verify(call.credential, asked, Wanted(told.oid, told.size))
    return answer(NOTHING)


async def _right(request: Request, objects: Objects, oid: str) -> Right:
    secret = request.query_params.get(SECRET, "")
    right = await objects.tickets.admit(secret, read_credential(request.scope["headers"]))
    if right.object().sha256 != oid:
        raise Forbidden("This URL is for another object")
    return right


def _part_number(request: Request) -> int | None:
    text = request.query_params.get(PART)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(parts.MAX_SIZE))):
        raise BadRequest.plain("'part' is to be a number")
    return int(text)


def _in_parts(offer: Offer) -> bool:
    return offer.secret is not None and offer.wanted.size > parts.PART_BYTES


def _offered(request: Request, repository: RepositoryId, offer: Offer, *, multipart: bool) -> OfferedObject:
    wanted, base = offer.wanted, f"{base_url(request)}/{repository}.git/info/lfs"
    shown: OfferedObject = {"oid": wanted.sha256, "size": wanted.size}
    if offer.secret is not None:
        href = f"{base}/content/{wanted.sha256}?{SECRET}={offer.secret}"
        upload: Action = {"href": href}
        if multipart and _in_parts(offer):
            urls = {str(n): f"{href}&{PART}={n}" for n in range(1, parts.part_count(wanted.size) + 1)}
            upload["header"] = {"chunk_size": str(parts.PART_BYTES), **urls}
        shown["actions"] = {"upload": upload, "verify": {"href": f"{base}/verify"}}
    return shown
