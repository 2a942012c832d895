"""Refusals as pages, for whoever asks with a browser; the APIs' clients get JSON (see `routes.http.failures`)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from modelyard import origin
from modelyard.routes.http.browsing import BROWSER
from modelyard.routes.pages.forms import told
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.links import Links
from modelyard.routes.pages.rendering import render
from modelyard.routes.pages.security import page_headers
from modelyard.routes.pages.viewer import Viewer
from modelyard.routes.pages.visit import FRAGMENT, frame_values, here, packed, page_response
from modelyard.terms.paths import SIGN_IN
from modelyard.wire.cookies import read_cookies

# What happened, and what somebody can do about it.
WORDS: dict[int, tuple[str, str]] = {
    400: ("This cannot be done", "Go back and change what was sent."),
    401: ("Sign in to go on", "Nobody is signed in, or the session has ended."),
    403: ("You may not do this", "Ask a maintainer or an owner of the project for a role that may."),
    404: ("Page not found", "It may have been moved or deleted, or you may not see it."),
    405: ("This cannot be done here", "Go back to the page before."),
    413: ("That was too much", "Send less at a time."),
    429: ("Too many requests", "Wait a little, then load the page again."),
    500: ("Something went wrong here", "Try again. If it stays so, tell an administrator the request id below."),
    503: ("Not available at the moment", "Try again in a few seconds."),
    507: ("No room left", "Tell an administrator: the server's disk or database is full."),
}


def show(request: Request, status: int, body: Mapping[str, object], headers: Mapping[str, str]) -> Response:
    """The page of a refusal whose body in JSON would be `body`; whoever is to sign in first is led there."""
    links = Links.of(request) if "app" in request.scope else Links("", "")
    secure = (links.base or request.scope["scheme"]).startswith("https")
    if status == HTTPStatus.UNAUTHORIZED and request.method == "GET" and FRAGMENT not in request.headers:
        url = links.to(SIGN_IN, return_to=here(request))
        return Response(status_code=303, headers={"Location": url} | page_headers(secure))
    heading, advice = WORDS.get(status, WORDS[400] if status < HTTPStatus.INTERNAL_SERVER_ERROR else WORDS[500])
    said = body.get("error_description") or body.get("message") or body.get("error") or ""
    values = frame_values(request, links, View([heading]), None) | {
        "status": status,
        "heading": heading,
        "advice": advice,
        "sentence": "" if _repeats(said, status) else told(said),
        "request_id": origin.current().request_id or request.scope.get("request_id", ""),
        "stranger": not request.scope.get(BROWSER),
    }
    text = render("refusal.html", Viewer.of(read_cookies(request.scope["headers"])), values)
    kept = {name: value for name, value in headers.items() if name.lower() != "www-authenticate"}
    return page_response(packed(request, text), status, secure, more=kept)


def _repeats(said: object, status: int) -> bool:
    """Whether a sentence says no more than the status does."""
    return isinstance(said, str) and said.startswith(str(status)) and " - " not in said
