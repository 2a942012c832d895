"""What the rest of the server knows of browsers: that a session came by a cookie, and how a refusal looks as a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from modelyard.errors import Forbidden
from modelyard.terms.paths import API, HEALTH, LIVENESS, METRICS, OPENAPI, READINESS
from modelyard.wire import hub
from modelyard.wire.same_origin import is_same_origin

BROWSER = "modelyard.browser"  # the scope's key of whether its credential is a browser's session
HEAD = "modelyard.head"  # the key of whether it was HEAD that is answered as GET
REFUSAL_PAGE = "modelyard.refusal_page"  # the key, in the scope's state, of what shows a refusal; none without pages

# Status, the refusal in GitLab's shape, and headers.
RefusalPage = Callable[[Request, int, Mapping[str, object], Mapping[str, str]], Response]

_NO_PAGES = (f"{API}/", HEALTH, LIVENESS, READINESS, METRICS, OPENAPI)


def refusal_page(scope: Scope) -> RefusalPage | None:
    """What shows the refusal of a request as a page; None where a client asks that wants no page, or for an API."""
    show: RefusalPage | None = (scope.get("state") or {}).get(REFUSAL_PAGE)
    if show is None or not any(name == b"accept" and b"text/html" in value for name, value in scope["headers"]):
        return None
    path: str = scope["path"]
    return None if path.startswith(_NO_PAGES) or hub.is_hub(path) else show


def refuse_other_origins(scope: Scope, external_url: str | None) -> None:
    """Raise Forbidden for a request that no page of this server makes."""
    headers = Headers(scope=scope)
    own = [f"{scope['scheme']}://{headers.get('host', '')}", *([external_url] if external_url else [])]
    if not is_same_origin(headers, own):
        raise Forbidden("Only pages of this server may do this in a browser's session")
