"""The way to what exchanges id tokens, and signs people and devices in; it is imported when it is first asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard.errors import UnknownRoute
from modelyard.terms.paths import DEVICES, OAUTH, OAUTH_METADATA, OIDC

ROOTS = (f"{OAUTH}/", f"{OIDC}/", OAUTH_METADATA)


@cache
def routes() -> list[BaseRoute]:
    """All routes that are here, imported."""
    from modelyard.routes.oauth.routers import ROUTES  # noqa: PLC0415 - see above

    return ROUTES


class OAuth:
    """Answers what lies below its roots, and hands all else on."""

    def __init__(self, others: ASGIApp) -> None:
        self._others = others
        self._router: Router | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or hand on one request. Raises HTTPException where there is nothing of that path."""
        if not scope["path"].startswith(ROOTS):
            await self._others(scope, receive, send)
            return
        if self._router is None:
            self._router = await asyncio.to_thread(self._make)
        await self._router(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on what is asked of the page that lets devices in."""
        if not scope["path"].startswith(DEVICES):
            raise HTTPException(UnknownRoute.status)
        await self._others(scope, receive, send)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Its routes; none as long as nobody has asked for one."""
        return self._router.routes if self._router is not None else ()

    def _make(self) -> Router:
        return Router(routes(), redirect_slashes=False, default=self._page)
