"""The exchange in the shape of PyPI's trusted publishing, for scripts that have nothing but curl."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from typing_extensions import TypedDict

from modelyard.errors import ApiError, BadRequest
from modelyard.routes.http.answers import Answer, answer
from modelyard.routes.http.bodies import SMALL_BODY_BYTES, Values, bodies_of
from modelyard.routes.http.params import Parameters, validate
from modelyard.routes.http.refusals import Message, ParameterError, refusing
from modelyard.routes.http.routing import Face, Traits
from modelyard.routes.http.strangers import network_in
from modelyard.routes.oauth.common import GIVEN, NO_STORE, TAG, FoundRoute, OAuthRoute, exchange_of, settings_of
from modelyard.routes.oauth.exchange import INVALID, REASONS, SignedToken, refusing_by, tried
from modelyard.services.identity.exchange import Asked
from modelyard.services.identity.refusals import Reason
from modelyard.terms.paths import MINT_TOKEN, OIDC

UNPROCESSABLE = 422
_CODES: dict[str, str] = {
    INVALID: "invalid-payload",
    Reason.USED: "invalid-reuse-token",
    **dict.fromkeys((Reason.PUBLISHER, Reason.TARGET), "invalid-publisher"),
}


class JobsToken(Parameters):
    """The id token of a job."""

    token: SignedToken


class Minted(TypedDict):
    """A token of a project, and the second at which it ends."""

    success: bool
    token: str
    expires: int


class MintingError(TypedDict):
    """What is wrong: a code, and a sentence."""

    code: str
    description: str


class NotMinted(TypedDict):
    """A refusal in the shape of PyPI's."""

    message: str
    errors: list[MintingError]


class Audience(TypedDict):
    """What id tokens must be for."""

    audience: str | None


class MintingRoute(OAuthRoute):
    """A route of PyPI's shape."""

    face = Face(
        "Minting", NotMinted | Message | ParameterError, strangers=True, headers=tuple(NO_STORE), invalid=UNPROCESSABLE
    )


found = APIRouter(tags=[TAG], route_class=FoundRoute)
router = APIRouter(tags=[TAG], route_class=MintingRoute)


@router.post(MINT_TOKEN, summary="Exchange the id token of a job, as for PyPI", responses=GIVEN)
@Traits(body=JobsToken)
async def mint(request: Request) -> Answer[Minted]:
    """For a token of the project that trusts the job; 404 where nobody's id tokens are believed."""

    async def work(values: Values) -> Answer[Minted]:
        minted = await exchange_of(request.app).exchange(Asked(validate(JobsToken, values).token))
        told: Minted = {"success": True, "token": minted.secret, "expires": minted.expires_at // 1000}
        return answer(told, NO_STORE)

    async def read() -> Answer[Minted]:
        request.scope["sender"] = network_in(request)
        once = frozenset(JobsToken.model_fields)  # what comes twice is read as a list
        values = await bodies_of(request).read(request, dict, SMALL_BODY_BYTES, once)
        return await tried(request, values, "token", work)

    return await refusing_by(_refusal, read)


@found.get(f"{OIDC}/audience", summary="Show what id tokens must be for", responses=refusing(404))
async def show_audience(request: Request) -> Answer[Audience]:
    """The audience that a job must ask its id token for."""
    own = settings_of(request).external_url
    if own is None:
        own = await request.app.state.database.read(lambda registry: registry.issuers.any_audience())
    told: Audience = {"audience": own}
    return answer(told)


def _refusal(status: int, reason: str, said: str, headers: Mapping[str, str]) -> ApiError:
    code = _CODES.get(reason, "invalid-token" if reason in REASONS else reason.replace("_", "-"))
    told: NotMinted = {"message": "Token request failed", "errors": [{"code": code, "description": said}]}
    error = ApiError(told, NO_STORE | dict(headers))
    error.status = UNPROCESSABLE if status == BadRequest.status else status
    return error
