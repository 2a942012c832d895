"""The direct way is made of the route table: what is declared for it, and fits, is called past FastAPI."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import APIRouter, Response
from starlette.requests import Request
from starlette.types import Message

from modelyard import app
from modelyard.routes.front.direct import DirectRoutes
from modelyard.routes.http.path_params import Segment
from modelyard.routes.http.routing import Route, Traits

ROUTES = [route for module in app.all_routers() for route in module.router.routes if isinstance(route, Route)]


async def answered(routes: list[Any], method: str, path: str) -> str | None:
    """The template by which a request is answered past FastAPI; None for one that is handed on."""
    handed_on = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        del message

    async def further(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        handed_on.append(scope)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    await DirectRoutes(further, None, routes)(scope, receive, send)
    return None if handed_on else str(scope["route_template"])


def made(path: str, endpoint: Any) -> list[Any]:
    router = APIRouter(route_class=Route)
    router.get(path)(Traits(direct=True)(endpoint))
    return list(router.routes)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.direct], ids=lambda route: route.path)
def test_all_that_is_declared_is_called_past_fastapi_and_only_by_its_methods(route: Route) -> None:
    path = route.path.replace(":path}", "}").replace("{", "").replace("}", "")
    others = {"GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"}

    def template(method: str) -> str | None:
        target = DirectRoutes(None, None, ROUTES)._find({"method": method, "path": path})  # type: ignore[arg-type]
        return target.template if target else None

    for method in route.methods or ():
        assert template(method) == route.path
    known = {method for each in ROUTES if each.path_regex.match(path) for method in each.methods or ()}
    assert [method for method in others - known if template(method)] == []


def test_parts_of_the_path_and_the_request_come_to_the_endpoint() -> None:
    came = []

    async def endpoint(request: Request, thing: Segment) -> Response:
        came.append((request.method, thing))
        return Response()

    routes = made("/a/{thing}/b", endpoint)
    assert asyncio.run(answered(routes, "GET", "/a/x%2F/b")) == "/a/{thing}/b"
    assert came == [("GET", "x%2F")]
    assert asyncio.run(answered(routes, "POST", "/a/x/b")) is None
    assert asyncio.run(answered(routes, "GET", "/a/x/c")) is None
    assert asyncio.run(answered(routes, "GET", "/b/x/b")) is None


def test_what_cannot_go_the_direct_way_cannot_be_declared_for_it() -> None:
    async def counting(number: int) -> Response:
        return Response(str(number))

    async def plain(request: Request) -> Response:
        del request
        return Response()

    with pytest.raises(TypeError, match="takes number: int"):
        DirectRoutes(None, None, made("/a/{number}/b", counting))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no first parameter"):
        DirectRoutes(None, None, made("/a", plain))  # type: ignore[arg-type]
