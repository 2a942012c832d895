"""A token for a device, once its user has confirmed the code (RFC 8628 section 3.4)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from typing_extensions import TypedDict

from modelyard.clock import now
from modelyard.errors import OAuthError
from modelyard.routes.http.answers import Answer, answer
from modelyard.routes.http.bodies import Values
from modelyard.routes.http.params import Parameters, stating, validate
from modelyard.routes.oauth.common import NO_STORE
from modelyard.services.identity import devices

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Given(TypedDict):
    """A token (RFC 6749 section 5.1); seconds."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    created_at: int


class Poll(Parameters):
    """What a device asks again and again."""

    grant_type: Annotated[str, stating(enum=[GRANT])]
    device_code: str = Field(max_length=255)
    client_id: str = Field(max_length=255)


async def give(request: Request, values: Values) -> Answer[Given]:
    """The token; OAuthError says whether to go on asking."""
    poll, database = validate(Poll, values), request.app.state.database
    await database.read(lambda registry: devices.check(registry, poll.device_code, poll.client_id))
    found = await database.write(lambda registry: devices.redeem(registry, poll.device_code))
    if isinstance(found, OAuthError):
        if found.code == "access_denied":
            request.app.state.metrics.sign_in("device", accepted=False)
        raise found
    request.app.state.metrics.sign_in("device", accepted=True)
    token, secret = found
    given: Given = {
        "access_token": secret,
        "token_type": "Bearer",
        "expires_in": max(0, (token.expires_at - now()) // 1000),
        "scope": token.scopes,
        "created_at": token.created_at // 1000,
    }
    return answer(given, NO_STORE)
