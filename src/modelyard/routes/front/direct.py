"""The way of the file API's and MLflow's requests past FastAPI: one look-up, one operation, no middleware in between.

FastAPI's stack costs more than the work itself. GET of 1 KiB with a token, 16 connections, on one core: 920 requests/s
through its routing, 2 340 as Starlette's routes at its head, and 4 000 in this way; an MLflow call takes 1.1 ms of the
processor less. The operations are the very ones that FastAPI documents and would call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard.routes.front.endpoints import Operation, operation_of
from modelyard.routes.gitlab import model_files
from modelyard.routes.http import failures
from modelyard.routes.mlflow.common import ROOT as MLFLOW_ROOT

_FILE = re.compile(
    r"/api/v4/projects/(?P<project>[^/]+)/packages/ml_models/(?P<model_version_id>[^/]+)/files/"
    r"(?P<name>.+?)(?P<authorize>/authorize)?",
    re.DOTALL,
)
_MLFLOW = re.compile(r"/api/v4/projects/(?P<project>[^/]+)/ml/mlflow")


@dataclass(frozen=True, slots=True)
class _Target:
    """What answers a request, and the template of the path that it came by."""

    operation: Operation
    template: str


_FILE_TEMPLATE = f"{model_files.router.prefix}{model_files.PATH}"
_AUTHORIZE = _Target(model_files.authorize, f"{_FILE_TEMPLATE}{model_files.AUTHORIZE_SUFFIX}")
_DOWNLOAD = _Target(model_files.download, _FILE_TEMPLATE)
_FILE_TARGETS = {"GET": _DOWNLOAD, "HEAD": _DOWNLOAD, "PUT": _Target(model_files.upload, _FILE_TEMPLATE)}


class DirectRoutes:
    """Answers the requests that it knows, and hands all others on. Paths are still encoded here."""

    def __init__(self, app: ASGIApp, state_owner: object, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self.state_owner = state_owner
        self._mlflow: dict[tuple[str, str], _Target] = {}  # by method and the path below MLFLOW_ROOT
        self._mlflow_patterns: list[tuple[frozenset[str], re.Pattern[str], _Target]] = []
        for route in routes:
            if isinstance(route, APIRoute) and route.path.startswith(MLFLOW_ROOT):
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

    def _add(self, route: APIRoute) -> None:
        operation = operation_of(route.endpoint)
        if operation is None:
            return
        target, below = _Target(operation, route.path), route.path.removeprefix(MLFLOW_ROOT)
        if "{" in below:
            self._mlflow_patterns.append((frozenset(route.methods or ()), route.path_regex, target))
        else:
            self._mlflow |= {(method, below): target for method in route.methods or ()}

    def _find(self, scope: Scope) -> _Target | None:
        method, path = scope["method"], scope["path"]
        if match := _FILE.fullmatch(path):
            scope["path_params"] = match.groupdict()
            return _authorize_target(scope) if match["authorize"] else _FILE_TARGETS.get(method)
        if match := _MLFLOW.match(path):
            scope["path_params"] = match.groupdict()
            return self._mlflow.get((method, path[match.end() :])) or self._find_pattern(scope)
        return None

    def _find_pattern(self, scope: Scope) -> _Target | None:
        for methods, pattern, target in self._mlflow_patterns:
            if scope["method"] in methods and (match := pattern.fullmatch(scope["path"])):
                scope["path_params"] = match.groupdict()
                return target
        return None


def _authorize_target(scope: Scope) -> _Target | None:
    """What answers for `…/authorize`; to be read, it is a file of this name, as FastAPI's routes have it."""
    if scope["method"] == "PUT":
        return _AUTHORIZE
    scope["path_params"]["name"] += model_files.AUTHORIZE_SUFFIX
    return _FILE_TARGETS.get(scope["method"])
