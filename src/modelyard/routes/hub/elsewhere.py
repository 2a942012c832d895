"""What other servers of this API have, and this one has not: each is told so, in a way that the clients show."""

from __future__ import annotations

from fastapi import Response

from modelyard.access.policy import Action
from modelyard.errors import NotOffered, RepositoryNotFound
from modelyard.routes.http.call import ApiCall, Call
from modelyard.routes.hub.common import MODELS, REPOSITORY, AskedId, hub_router
from modelyard.services.hub import callers

router = hub_router()

ALL = ["GET", "POST", "PUT", "PATCH", "DELETE"]
KINDS = ("datasets", "spaces", "kernels", "buckets")


async def _refuse(call: Call, sentence: str) -> Response:
    await call.read_public(lambda _registry, _caller: None)
    raise RepositoryNotFound(sentence)


async def other_kinds(call: ApiCall) -> Response:
    """There are models alone."""
    return await _refuse(call, "Repository not found: there are no datasets, spaces or other kinds here, only models")


async def one_part(call: ApiCall) -> Response:
    """Every model lies in a project, which lies in a namespace."""
    return await _refuse(call, "Repository not found: ask for it by namespace and name")


async def not_offered(call: ApiCall, asked: AskedId) -> Response:
    """For whoever sees the model; strangers are told no more than that there is none."""
    await call.read_public(lambda registry, caller: callers.check_access(registry, caller, asked, Action.READ))
    raise NotOffered("There are no discussions, pull requests or Git histories here")


for kind in KINDS:
    for path in (f"/api/{kind}", f"/api/{kind}/{{rest:path}}", f"/{kind}/{{rest:path}}"):
        router.add_api_route(path, other_kinds, methods=ALL, include_in_schema=False)
for path in (
    f"{MODELS}/{{repository}}",
    f"{MODELS}/{{repository}}/revision/{{revision}}",
    f"{MODELS}/{{repository}}/tree/{{revision}}",
    "/{repository}/resolve/{revision}/{name:path}",
):
    router.add_api_route(path, one_part, methods=["GET"], include_in_schema=False)
for path in (
    "discussions",
    "discussions/{rest:path}",
    "lfs-files",
    "lfs-files/{rest:path}",
    "super-squash/{rest:path}",
):
    router.add_api_route(f"{MODELS}{REPOSITORY}/{path}", not_offered, methods=ALL, include_in_schema=False)
