"""The way to the pages, which are imported when the first one is asked for: a start, and whoever uses the APIs alone,
does without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send


class Pages:
    """Answers what no API does. Its import takes a tenth of a second, beside the event loop."""

    def __init__(self) -> None:
        self._router: Router | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises HTTPException where there is no such page."""
        if self._router is None:
            self._router = await asyncio.to_thread(_router)
        await self._router(scope, receive, send)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """The routes of all pages; none as long as nobody has asked for one."""
        return self._router.routes if self._router is not None else ()


def refusal_page(request: Request, status: int, body: Mapping[str, object], headers: Mapping[str, str]) -> Response:
    """A refusal as a page; see `routes.http.browsing`."""
    from modelyard.routes.pages.refusals import show  # noqa: PLC0415 - see above

    return show(request, status, body, headers)


def _router() -> Router:
    from modelyard.routes.pages.rendering import environment  # noqa: PLC0415 - see above
    from modelyard.routes.pages.routers import ROUTES  # noqa: PLC0415 - as above

    environment()
    return Router(ROUTES, redirect_slashes=False)
