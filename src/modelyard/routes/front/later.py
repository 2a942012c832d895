"""The way to APIs that few ask for, which are imported when the first request comes below their paths: a start, and
whoever asks for anything else, does without them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from types import ModuleType

from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard.terms.paths import API

# Of modules beside those of the rest of GitLab's API. Each answers below its name, at the root or in a project.
NAMES = ("issuers", "trusted_publishers", "sign_on_providers")
_BELOW = re.compile(rf"{API}/(?:projects/[^/]+/)?(?:{'|'.join(NAMES)})(?:/|$)")


@cache
def modules() -> tuple[ModuleType, ...]:
    """What answers here, imported."""
    return tuple(import_module(f"modelyard.routes.gitlab.{name}") for name in NAMES)


def routes() -> list[BaseRoute]:
    """All routes that are here."""
    return [route for module in modules() for route in module.router.routes]


class Later:
    """Answers what lies below its paths, and hands all else on."""

    def __init__(self, others: ASGIApp) -> None:
        self._others = others
        self._router: Router | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or hand on one request."""
        if not _BELOW.match(scope["path"]):
            await self._others(scope, receive, send)
            return
        if self._router is None:
            self._router = await asyncio.to_thread(self._make)
        await self._router(scope, receive, send)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Its routes; none as long as nobody has asked for one."""
        return self._router.routes if self._router is not None else ()

    def _make(self) -> Router:
        return Router(routes(), redirect_slashes=False, default=self._others)
