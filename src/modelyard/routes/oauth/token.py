"""Where tokens are given, whatever for (RFC 6749 section 3.2): each kind of grant has a module of its own, which is
imported when the first of it comes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from modelyard.errors import OAuthError
from modelyard.routes.http.bodies import Values
from modelyard.routes.http.params import Parameters, validate
from modelyard.routes.http.strangers import read_strange
from modelyard.routes.oauth.common import OpenRoute
from modelyard.terms.paths import OAUTH

TOKEN = f"{OAUTH}/token"
# Each once at most (section 3.2): what comes twice is read as a list.
FIELDS = frozenset(
    {"grant_type", "device_code", "client_id", "subject_token", "subject_token_type", "requested_token_type"}
    | {"resource", "scope"}
)
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 section 5.1


class Grant(Parameters):
    """What somebody asks a token for; what else each kind of grant takes is told by its specification."""

    grant_type: str = Field(max_length=255)


Give = Callable[[Request, Values], Awaitable[Response]]

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
# By the type of the grant: the module below this package whose `give` answers.
GRANTS = {
    DEVICE_CODE: "device_grant",
    "urn:ietf:params:oauth:grant-type:token-exchange": "exchange",
}


async def token(request: Request) -> Response:
    """A token, asked for by a form or in JSON. Clients are not told apart: none has a secret."""
    values = await read_strange(request, once=FIELDS)
    kind = GRANTS.get(validate(Grant, values).grant_type)
    if kind is None:
        raise OAuthError("unsupported_grant_type", "There is no such grant here")
    give: Give = import_module(f"modelyard.routes.oauth.{kind}").give
    return await give(request, values)


ROUTES: list[BaseRoute] = [OpenRoute(TOKEN, token, methods=["POST"])]
