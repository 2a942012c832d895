"""Xet, as far as it takes to send files: its clients choose it by themselves where they have it.

`casUrl` has a session of its own for each token: clients remember which xorbs they have sent to which URL, for weeks.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Request, Response
from pydantic import WithJsonSchema
from starlette.responses import StreamingResponse
from typing_extensions import TypedDict

from modelyard.access.tokens import read_credential
from modelyard.errors import Unauthorized
from modelyard.routes.http.answers import Answer, answer
from modelyard.routes.http.bodies import bodies_of
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.urls import base_url
from modelyard.routes.hub.common import MODELS, REPOSITORY, AskedId, Revision, hub_router, read_revision
from modelyard.services.hub.tickets import Right
from modelyard.services.hub.xet import Xet
from modelyard.services.traffic.throttling import UploadSlots
from modelyard.wire.encodings import refuse_encoded

router = hub_router()

CAS = "/api/xet/{session}"
Hash = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{64}$"})]
Session = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})]
BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class AccessToken(TypedDict):
    """The right to send by xet."""

    accessToken: str
    exp: int
    casUrl: str


class Inserted(TypedDict):
    """Whether a xorb is new."""

    was_inserted: bool


class Registered(TypedDict):
    """That the files of a shard are there: 1."""

    result: int


@router.get(f"{MODELS}{REPOSITORY}/xet-write-token/{{revision}}", summary="Ask for the right to send by xet")
async def write_token(request: Request, call: ApiCall, asked: AskedId, revision: Revision) -> Answer[AccessToken]:
    """A token for an hour, and where to send with it."""
    given = await _xet(request).access(call.credential, asked, read_revision(revision))
    url = base_url(request) + CAS.format(session=given.session)
    return answer({"accessToken": given.token, "exp": given.expires_at // 1000, "casUrl": url})


@router.post(f"{CAS}/v1/xorbs/default/{{digest}}", summary="Send a xorb", openapi_extra=BODY)
async def send_xorb(request: Request, session: Session, digest: Hash) -> Answer[Inserted]:
    """It is kept for the shards of the same session."""
    right, declared = await _admitted(request, session)
    with _slots(request).taken(right.token):
        new = await _xet(request).receive_xorb(right, session, digest, request.stream(), declared)
    return answer({"was_inserted": new})


@router.get(
    f"{CAS}/v1/chunks/default/{{digest}}",
    summary="Ask for a chunk that need not be sent",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
@router.get(f"{CAS}/v1/chunks/default-merkledb/{{digest}}", include_in_schema=False, response_class=Response)
async def find_chunk(request: Request, session: Session, digest: Hash) -> Response:
    """A shard that says in which xorbs it is, with the chunks that follow it; 404 for one that is to be sent."""
    right = await _right(request, session)
    return StreamingResponse(await _xet(request).find_chunk(right, digest), media_type="application/octet-stream")


@router.post(f"{CAS}/v1/shards", summary="Send a shard", openapi_extra=BODY)
@router.post(f"{CAS}/shards", include_in_schema=False)
async def send_shard(request: Request, session: Session) -> Answer[Registered]:
    """Its files are put together of xorbs that were sent in the same session, and may be committed then."""
    right, declared = await _admitted(request, session)
    with _slots(request).taken(right.token), bodies_of(request).budget.claim(right.token) as claim:
        await _xet(request).receive_shard(right, session, request.stream(), declared, claim)
    return answer({"result": 1})


async def _right(request: Request, session: str) -> Right:
    secret = read_credential(request.scope["headers"])
    if secret is None:
        raise Unauthorized
    return await _xet(request).admit(secret, session)


async def _admitted(request: Request, session: str) -> tuple[Right, int | None]:
    """What may be sent, and how many bytes are to come, if that is told."""
    right = await _right(request, session)
    refuse_encoded(request.headers)
    length = request.headers.get("content-length")
    return right, int(length) if length is not None else None


def _xet(request: Request) -> Xet:
    xet: Xet = request.app.state.xet
    return xet


def _slots(request: Request) -> UploadSlots:
    slots: UploadSlots = request.app.state.upload_slots
    return slots
