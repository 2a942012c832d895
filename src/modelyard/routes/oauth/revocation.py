"""Where whoever has a token ends it (RFC 7009), at GitLab's path: a job that is done, or a device."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request

from modelyard.access.token_format import is_well_formed
from modelyard.registry.engine import Database
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.params import Parameters, validate
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.strangers import limit_strangers, read_strange
from modelyard.routes.oauth.common import GIVEN, NO_STORE, TAG, OAuthRoute
from modelyard.services.identity import revoking
from modelyard.terms.paths import OAUTH

router = APIRouter(tags=[TAG], route_class=OAuthRoute)

REVOKE = f"{OAUTH}/revoke"
MAX_TOKEN = 32 * 1024  # characters; an id token may be sent, which is none of ours
MAX_A_MINUTE = 300  # of one address, at which many jobs may be


class Revocation(Parameters):
    """Which token is to end; which kind it is, is looked up anyway."""

    token: str = Field(min_length=1, max_length=MAX_TOKEN)
    token_type_hint: str = Field("", max_length=255)


@router.post(REVOKE, summary="End a token", responses=GIVEN)
@Traits(body=Revocation)
async def revoke(request: Request) -> Answer[Nothing]:
    """By whoever has it; 200 also for what is no token, or has ended (section 2.2)."""
    limit_strangers(request, "throttle_revocations", MAX_A_MINUTE)
    secret = validate(Revocation, await read_strange(request, once=frozenset(Revocation.model_fields))).token
    database: Database = request.app.state.database
    if is_well_formed(secret) and await database.read(lambda registry: revoking.is_good(registry, secret)):
        await database.write(lambda registry: revoking.end(registry, secret))
    return answer(NOTHING, NO_STORE)
