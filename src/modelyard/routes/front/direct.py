"""The way past FastAPI of the file API's and MLflow's requests, and of Hugging Face's downloads: one look-up, one
operation, no middleware in between.

FastAPI's stack costs more than the work itself. GET of 1 KiB with a token, 16 connections, on one core: 920 requests/s
through its routing, 2 340 as Starlette's routes at its head, and 4 000 in this way; an MLflow call takes 1.1 ms of the
processor less. The operations are the very ones that FastAPI documents and would call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard.routes.front.endpoints import Operation, operation_of
from modelyard.routes.http import failures
from modelyard.routes.http.routing import Route

# Of a template: up to the first parameter of one segment, and those that follow it at once.
_HEAD = re.compile(r"([^{]*)((?:\{\w+\}/)+)")


@dataclass(frozen=True, slots=True)
class _Target:
    """What answers a request, and the template of the path that it came by."""

    operation: Operation
    template: str


@dataclass(slots=True)
class _Below:
    """The routes whose templates go on with the same segment after the parameters of their head."""

    plain: dict[tuple[str, str], _Target] = field(default_factory=dict)  # by method and the path from that segment on
    patterns: dict[str, list[tuple[re.Pattern[str], _Target]]] = field(
        default_factory=dict
    )  # by method, of whole paths

    def find(self, scope: Scope, match: re.Match[str]) -> _Target | None:
        method, path = scope["method"], scope["path"]
        if self.plain and (target := self.plain.get((method, path[match.start(match.lastindex or 0) :]))):
            scope["path_params"] = match.groupdict()
            return target
        for pattern, target in self.patterns.get(method, ()):
            if found := pattern.match(path):
                scope["path_params"] = found.groupdict()
                return target
        return None


class DirectRoutes:
    """Answers the requests that it knows, and hands all others on. Paths are still encoded here."""

    def __init__(self, app: ASGIApp, state_owner: object, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self.state_owner = state_owner
        self._heads: dict[str, tuple[re.Pattern[str], dict[str, _Below]]] = {}
        for route in routes:
            if isinstance(route, Route) and route.direct:
                self._add(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or hand on one request."""
        target = self._find(scope) if scope["type"] == "http" else None
        if target is None:
            await self.app(scope, receive, send)
            return
        scope["app"] = self.state_owner
        scope["route_template"] = target.template
        request = Request(scope, receive, send)
        try:
            response: Response = await target.operation(request)
        except failures.EXPECTED as error:
            response = await failures.respond(request, error)
        await response(scope, receive, send)

    def _add(self, route: Route) -> None:
        head = _HEAD.match(route.path)
        if head is None:
            raise TypeError(f"{route.path} has no first parameter of one segment")
        literal, parameters = head.groups()
        parts = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", parameters)
        pattern = re.compile(rf"{re.escape(literal)}{parts}([^/]+)")
        _pattern, segments = self._heads.setdefault(head[0], (pattern, {}))
        rest = route.path[head.end() :]
        below = segments.setdefault(rest.partition("/")[0], _Below())
        target, methods = _Target(operation_of(route.endpoint), route.path), route.methods or ()
        for method in methods:
            if "{" in rest:
                below.patterns.setdefault(method, []).append((route.path_regex, target))
            else:
                below.plain[method, rest] = target

    def _find(self, scope: Scope) -> _Target | None:
        path = scope["path"]
        for pattern, segments in self._heads.values():
            if (match := pattern.match(path)) and (below := segments.get(match[match.lastindex or 0])):
                return below.find(scope, match)
        return None
