"""HEAD wherever there is GET, as RFC 9110 section 9.1 has it and GitLab too: probes and pagination ask by it."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard.routes.http.browsing import HEAD


class HeadAsGet:
    """Asks for what GET would be answered with, whose body the server then leaves out.

    Routes that know HEAD are left alone: a file need not be read for it.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self._knowing = [route for route in routes if "HEAD" in (getattr(route, "methods", None) or ())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or self._is_known(scope):
            await self.app(scope, receive, send)
            return
        asked = {**scope, "method": "GET", HEAD: True}
        try:
            await self.app(asked, receive, send)
        finally:
            for name in ("route", "route_template"):  # which the metrics are counted by
                if name in asked:
                    scope[name] = asked[name]

    def _is_known(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._knowing)
