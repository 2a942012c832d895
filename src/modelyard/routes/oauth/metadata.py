"""What an OAuth client can find out by itself (RFC 8414)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from typing_extensions import TypedDict

from modelyard.access.tokens import Scope
from modelyard.routes.http.answers import answer
from modelyard.routes.http.urls import base_url
from modelyard.routes.oauth.common import OAuthRoute
from modelyard.routes.oauth.devices import AUTHORIZE_DEVICE
from modelyard.routes.oauth.revocation import REVOKE
from modelyard.routes.oauth.token import DEVICE_CODE, GRANTS, TOKEN
from modelyard.terms.paths import OAUTH_METADATA

_NONE = "none"  # clients have no secret


class Metadata(TypedDict, total=False):
    """Section 2, and RFC 8628 section 4. Nobody is sent here with a code: there is no `authorization_endpoint`."""

    issuer: str
    token_endpoint: str
    revocation_endpoint: str
    device_authorization_endpoint: str
    grant_types_supported: list[str]
    response_types_supported: list[str]
    scopes_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    revocation_endpoint_auth_methods_supported: list[str]


async def show(request: Request) -> Response:
    """The document; devices are in it where there are pages to confirm them by."""
    base, pages = base_url(request), request.app.state.pages is not None
    told: Metadata = {
        "issuer": base,
        "token_endpoint": base + TOKEN,
        "revocation_endpoint": base + REVOKE,
        "grant_types_supported": [grant for grant in GRANTS if pages or grant != DEVICE_CODE],
        "response_types_supported": [],
        "scopes_supported": list(Scope),
        "token_endpoint_auth_methods_supported": [_NONE],
        "revocation_endpoint_auth_methods_supported": [_NONE],
    }
    if pages:
        told["device_authorization_endpoint"] = base + AUTHORIZE_DEVICE
    return answer(told)


ROUTES: list[BaseRoute] = [OAuthRoute(OAUTH_METADATA, show, methods=["GET"])]
