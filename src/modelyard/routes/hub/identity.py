"""Who asks, and what a client asks before its first call."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from modelyard.access.policy import Action
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.routing import Traits
from modelyard.routes.hub.common import MODELS, REPOSITORY, AskedId, hub_router
from modelyard.services.hub import callers

router = hub_router()


class AccessToken(TypedDict):
    """The token that was sent."""

    displayName: str
    role: Literal["read", "write"]


class Auth(TypedDict):
    """How the caller is known."""

    type: Literal["access_token"]
    accessToken: AccessToken


class Organization(TypedDict):
    """A namespace, other than the caller's own, that they may write to a project of."""

    type: Literal["org"]
    name: str


class Who(TypedDict):
    """Whoever asks."""

    type: Literal["user"]
    id: str
    name: str
    fullname: str
    email: str
    orgs: list[Organization]
    auth: Auth


class Harnesses(TypedDict):
    """Variables by which a client might know the program that runs it; none are asked for here."""

    standardEnvVars: list[str]
    harnesses: dict[str, object]


HARNESSES: Harnesses = {"standardEnvVars": [], "harnesses": {}}


@router.get("/api/whoami-v2", summary="Who the token is of")
async def who_am_i(call: ApiCall) -> Answer[Who]:
    """For signed-in callers only."""
    caller = await call.read(callers.describe)
    token: AccessToken = {"displayName": caller.token, "role": "write" if caller.may_write else "read"}
    who: Who = {
        "type": "user",
        "id": str(caller.user.id),
        "name": caller.user.username,
        "fullname": caller.user.name,
        "email": caller.user.email,
        "orgs": [{"type": "org", "name": name} for name in caller.namespaces],
        "auth": {"type": "access_token", "accessToken": token},
    }
    return answer(who)


@router.get("/api/agent-harnesses", summary="Programs that a client may be run by")
@Traits(public=True)
async def agent_harnesses(call: ApiCall) -> Answer[Harnesses]:
    """None are told apart here; a client that is not answered asks again from each of its processes."""
    await call.read_public(lambda _registry, _caller: None)
    return answer(HARNESSES)


@router.get(f"{MODELS}{REPOSITORY}/auth-check", summary="Whether a model may be read")
@Traits(public=True)
async def check_reading(call: ApiCall, asked: AskedId) -> Answer[Nothing]:
    """For whoever sees it."""
    await call.read_public(lambda registry, caller: callers.check_access(registry, caller, asked, Action.READ))
    return answer(NOTHING)


@router.get(f"{MODELS}{REPOSITORY}/auth-check/write", summary="Whether a model may be written to")
async def check_writing(call: ApiCall, asked: AskedId) -> Answer[Nothing]:
    """For developers and up."""
    await call.read_public(lambda registry, caller: callers.check_access(registry, caller, asked, Action.WRITE))
    return answer(NOTHING)
