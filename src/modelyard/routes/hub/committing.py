"""Uploads: what is asked before them, and the commit that ends them."""

from __future__ import annotations

from typing import Literal, NotRequired

from fastapi import Request
from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from modelyard.access.identity import Identity
from modelyard.access.tokens import digest_of
from modelyard.errors import BadRequest
from modelyard.registry.repository import Registry
from modelyard.routes.http.answers import Answer, answer
from modelyard.routes.http.bodies import bodies_of
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.known import known_first
from modelyard.routes.http.params import LISTS_BODY_BYTES, Parameters, parameters
from modelyard.routes.http.urls import base_url
from modelyard.routes.http.verified import check_of, verified
from modelyard.routes.hub.common import (
    MODELS,
    REPOSITORY,
    AskedId,
    Revision,
    commits_of,
    hub_router,
    read_revision,
)
from modelyard.services.hub.committing import Committing
from modelyard.services.hub.objects import Objects
from modelyard.services.hub.preuploads import Advice, Announced, advise
from modelyard.services.traffic.throttling import UploadSlots
from modelyard.wire.encodings import refuse_encoded

router = hub_router(MODELS + REPOSITORY)

MAX_ANNOUNCED = 1_000  # files in one question; clients ask for 256
NDJSON = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {
                "schema": {
                    "type": "string",
                    "format": "binary",
                    "description": "A JSON object a line: `header`, then `file`, `lfsFile`, `deletedFile`, "
                    "`deletedFolder` and `copyFile`, each with its `value`.",
                }
            }
        },
    }
}


class AnnouncedFile(Parameters):
    """A file that is to be sent."""

    path: str
    size: int = Field(description="Bytes.")
    sample: str = Field("", description="Not looked at.")


class Announcement(Parameters):
    """Files that are to be sent."""

    model_config = ConfigDict(str_max_length=LISTS_BODY_BYTES)

    files: list[AnnouncedFile] = Field(max_length=MAX_ANNOUNCED)
    gitAttributes: str | None = Field(None, description="Not looked at.")  # noqa: N815 - the API's own name
    gitIgnore: str | None = Field(None, description="Not looked at: what is sent is taken.")  # noqa: N815 - as above


class Mode(TypedDict):
    """How a file is to be sent."""

    path: str
    uploadMode: Literal["lfs", "regular"]
    shouldIgnore: bool
    oid: NotRequired[str]


class Modes(TypedDict):
    """How files are to be sent, each by its path."""

    files: list[Mode]


class CommitMade(TypedDict):
    """A commit that is there."""

    success: bool
    commitOid: str
    commitUrl: str


def objects_of(request: Request) -> Objects:
    """What takes in what comes before a commit."""
    objects: Objects = request.app.state.objects
    return objects


@router.post("/preupload/{revision}", summary="Ask before an upload")
async def preupload(
    request: Request, call: ApiCall, asked: AskedId, revision: Revision, told: Announcement = parameters(Announcement)
) -> Answer[Modes]:
    """Checks all that is known by then, as clients show the refusal."""
    _refuse_pull_request(request)
    name, commits, objects = read_revision(revision), commits_of(request), objects_of(request)
    files = [Announced(each.path, each.size) for each in told.files]

    def work(registry: Registry, caller: Identity) -> list[Advice]:
        return advise(registry, caller, asked, name, files, commits, objects)

    advices = await call.search_public(work)
    return answer({"files": [_mode(each) for each in advices]})


@router.post("/commit/{revision}", summary="Make a commit", openapi_extra=NDJSON)
async def commit(request: Request, call: ApiCall, asked: AskedId, revision: Revision) -> Answer[CommitMade]:
    """All of it is there when this answers, or nothing. Sent again, it changes nothing."""
    committing: Committing = request.app.state.committing
    slots: UploadSlots = request.app.state.upload_slots
    async with known_first(request) as visitor:
        await visitor.introduce()
        refuse_encoded(request.headers)
        _refuse_pull_request(request)
        name, check = read_revision(revision), check_of(request.headers)
    token = digest_of(call.credential) if call.credential is not None else None
    with slots.taken(token), bodies_of(request).budget.claim(request.scope["sender"]) as claim:
        lines = verified(request.stream(), check)
        made = await committing.commit(call.credential, asked, name, lines, claim)
    url = f"{base_url(request)}/{made.repository}/commit/{made.oid}"
    return answer({"success": True, "commitOid": made.oid, "commitUrl": url})


def _mode(advice: Advice) -> Mode:
    mode: Mode = {
        "path": advice.name,
        "uploadMode": "regular" if advice.regular else "lfs",
        "shouldIgnore": False,
    }
    if advice.sha256 is not None:
        mode["oid"] = advice.sha256
    return mode


def _refuse_pull_request(request: Request) -> None:
    if request.query_params.get("create_pr", "0").lower() not in {"0", "false", ""}:
        raise BadRequest.plain("There are no pull requests here: commit to a version or to main")
