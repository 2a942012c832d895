"""Where tokens are given, whatever for (RFC 6749 section 3.2): each kind of grant has a module of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request

from modelyard.errors import OAuthError
from modelyard.routes.http.answers import Answer
from modelyard.routes.http.bodies import Values
from modelyard.routes.http.params import Parameters, validate
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.strangers import read_strange
from modelyard.routes.oauth import device_grant, exchange
from modelyard.routes.oauth.common import GIVEN, TAG, OpenRoute
from modelyard.terms.paths import OAUTH

router = APIRouter(tags=[TAG], route_class=OpenRoute)

TOKEN = f"{OAUTH}/token"
# Each once at most (section 3.2): what comes twice is read as a list.
FIELDS = frozenset({*device_grant.Poll.model_fields, *exchange.IdToken.model_fields})


class Grant(Parameters):
    """What somebody asks a token for; what else each kind of grant takes is told by its specification."""

    grant_type: str = Field(max_length=255)


Give = Callable[[Request, Values], Awaitable[Answer[device_grant.Given] | Answer[exchange.Exchanged]]]

GRANTS: dict[str, Give] = {device_grant.GRANT: device_grant.give, exchange.GRANT: exchange.give}  # by their types


@router.post(TOKEN, summary="Ask for a token", responses=GIVEN)
@Traits(body=device_grant.Poll | exchange.IdToken)
async def token(request: Request) -> Answer[device_grant.Given] | Answer[exchange.Exchanged]:
    """For a device whose user has confirmed it, or for the id token of a job. Clients are not told apart: none has a
    secret.
    """
    values = await read_strange(request, once=FIELDS)
    give = GRANTS.get(validate(Grant, values).grant_type)
    if give is None:
        raise OAuthError("unsupported_grant_type", "There is no such grant here")
    return await give(request, values)
