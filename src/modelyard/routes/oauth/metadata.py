"""What an OAuth client can find out by itself (RFC 8414)."""

from __future__ import annotations

from typing import NotRequired

from fastapi import APIRouter
from starlette.requests import Request
from typing_extensions import TypedDict

from modelyard.access.tokens import Scope
from modelyard.routes.http.answers import Answer, Url, answer
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.urls import base_url
from modelyard.routes.oauth import device_grant
from modelyard.routes.oauth.common import TAG, FoundRoute
from modelyard.routes.oauth.devices import AUTHORIZE_DEVICE
from modelyard.routes.oauth.revocation import REVOKE
from modelyard.routes.oauth.token import GRANTS, TOKEN
from modelyard.terms.paths import OAUTH_METADATA

router = APIRouter(tags=[TAG], route_class=FoundRoute)

_NONE = "none"  # clients have no secret


class ServerMetadata(TypedDict):
    """Section 2, and RFC 8628 section 4. Nobody is sent here with a code: there is no `authorization_endpoint`."""

    issuer: Url
    token_endpoint: Url
    revocation_endpoint: Url
    device_authorization_endpoint: NotRequired[Url]
    grant_types_supported: list[str]
    response_types_supported: list[str]
    scopes_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    revocation_endpoint_auth_methods_supported: list[str]


@router.get(OAUTH_METADATA, summary="Show where tokens are given", responses=refusing(404))
async def show_metadata(request: Request) -> Answer[ServerMetadata]:
    """For OAuth's clients; devices are in it where there are pages to confirm them by."""
    base, pages = base_url(request), request.app.state.pages is not None
    told: ServerMetadata = {
        "issuer": base,
        "token_endpoint": base + TOKEN,
        "revocation_endpoint": base + REVOKE,
        "grant_types_supported": [grant for grant in GRANTS if pages or grant != device_grant.GRANT],
        "response_types_supported": [],
        "scopes_supported": list(Scope),
        "token_endpoint_auth_methods_supported": [_NONE],
        "revocation_endpoint_auth_methods_supported": [_NONE],
    }
    if pages:
        told["device_authorization_endpoint"] = base + AUTHORIZE_DEVICE
    return answer(told)
