"""Every route is in the OpenAPI document with its method, or on the list that says why not; nothing else is in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import httpx2
import pytest

from modelyard.routes.hub import elsewhere
from modelyard.routes.pages.routers import ROUTES as PAGES
from tests.live import LiveServer

pytestmark = pytest.mark.once

# By patterns of paths. HEAD beside GET is on no list: it is GET's answer without its content.
UNTOLD = {
    r"/openapi\.json|/docs(/.*)?": "the document, and the page that shows it",
    r".*/mlflow/ajax-api/2\.0/mlflow/.*": "where MLflow's own pages ask for what is told below /api/2.0",
    r"/api/xet/\{session\}/(shards|v1/chunks/default-merkledb/.*)": "as older clients name what is told below /v1",
    r"/oauth/(device|device_authorization)": "other names of /oauth/authorize_device, for other clients",
    r"/api/repos/move": "refused, as whatever of that API is not here",
}

Operations = set[tuple[str, str]]


@pytest.fixture
def routes(server: LiveServer) -> list[Any]:
    return server.app.all_routes()


def operations(routes: list[Any]) -> Operations:
    return {(method, route.path_format) for route in routes for method in route.methods}


@pytest.fixture
def told(server: LiveServer) -> Operations:
    paths = server.app.openapi()["paths"]
    return {(method.upper(), path) for path, of_path in paths.items() for method in of_path}


def test_every_route_is_told_or_on_the_list(routes: list[Any], told: Operations) -> None:
    refusing = {route.path_format for route in routes if route.endpoint.__module__ == elsewhere.__name__}
    untold = {(method, path) for method, path in operations(routes) - told if path not in refusing}
    untold -= {(method, path) for method, path in untold if method == "HEAD" and ("GET", path) in told}
    assert [each for each in untold if not any(re.fullmatch(pattern, each[1]) for pattern in UNTOLD)] == []
    assert [pattern for pattern in UNTOLD if not any(re.fullmatch(pattern, path) for _method, path in untold)] == []
    assert not any(method == "HEAD" for method, path in told if ("GET", path) in told)


def test_nothing_is_told_that_is_no_route(routes: list[Any], told: Operations) -> None:
    assert len(told) > 190
    assert told <= operations(routes)


def test_all_else_that_is_routed_are_pages(server: LiveServer, routes: list[Any]) -> None:
    """No route is in the server that the tests above do not walk."""
    state = server.app.state
    for path in ("/api/v4/issuers", "/oauth/token", "/"):  # after which all of them are there
        httpx2.get(server.url + path, headers={"PRIVATE-TOKEN": server.root_token})
    found = list(unpacked([*server.app.router.routes, *state.later.routes, *state.oauth.routes, *state.pages.routes]))
    assert {id(route) for route in routes} <= {id(route) for route in found}
    assert {id(route) for route in found} <= {id(route) for route in [*routes, *PAGES]}


def unpacked(routes: Iterable[Any]) -> Iterator[Any]:
    """FastAPI keeps the routers that it is given whole."""
    for route in routes:
        router = getattr(route, "original_router", None)
        yield from unpacked(router.routes) if router else (route,)
