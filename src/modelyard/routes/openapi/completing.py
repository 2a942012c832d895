"""The OpenAPI document, completed with what the routes declare beyond what FastAPI knows.

It is made when it is first asked for: to make the schemas takes a tenth of a start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.routing import BaseRoute

from modelyard.routes.http.listing import KeysetQuery
from modelyard.routes.http.routing import Face, Route
from modelyard.routes.openapi import refusals
from modelyard.routes.openapi.schemas import Schema, answered, query_parameters, request_body

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "privateToken": {"type": "apiKey", "in": "header", "name": "PRIVATE-TOKEN"},
    "jobToken": {"type": "apiKey", "in": "header", "name": "JOB-TOKEN"},
    "basic": {"type": "http", "scheme": "basic", "description": "The token is the password."},
}
SIGNED_IN: list[dict[str, list[str]]] = [{name: []} for name in SECURITY_SCHEMES]
ANYBODY: list[dict[str, list[str]]] = [*SIGNED_IN, {}]  # who sees what is public
JSON = "application/json"
_TEXT = {"schema": {"type": "string"}, "required": True}
_NUMBER = {"schema": {"type": "integer"}, "required": True}
PAGING = {
    "X-Page": _NUMBER,
    "X-Per-Page": _NUMBER,
    "X-Total": _NUMBER,
    "X-Total-Pages": _NUMBER,
    "X-Next-Page": _TEXT | {"description": "Empty on the last page."},
    "X-Prev-Page": _TEXT | {"description": "Empty on the first page."},
    "Link": _TEXT | {"description": "first, prev, next and last (RFC 8288)."},
}
KEYSET_PAGING = {name: header | {"required": False} for name, header in PAGING.items()}


def complete(document: dict[str, Any], routes: Iterable[BaseRoute]) -> None:
    """Add to the document of FastAPI what it does not know, in place."""
    told = [route for route in routes if isinstance(route, Route) and route.include_in_schema]
    schemas, components = answered(dict(_shapes(told)))
    whole = _Document(document["paths"], schemas, components)
    for route in told:
        whole.complete(route)
    for route in told:
        whole.link(route, told)
    responses = dict(sorted(whole.responses.items()))
    document["components"] = {"securitySchemes": SECURITY_SCHEMES, "schemas": components, "responses": responses}


def _shapes(routes: Iterable[Route]) -> Iterator[tuple[Any, Any]]:
    """The types of what is answered, by face for refusals, and by route and status for the rest."""
    for route in routes:
        if route.face is not None:
            yield route.face, route.face.refusal
        yield from (((route.unique_id, str(int(status))), shape) for status, shape in route.all_shapes().items())


@dataclass
class _Document:
    """The document while it is completed."""

    paths: dict[str, Any]
    schemas: Mapping[Any, Schema]
    components: dict[str, Schema]
    responses: dict[str, Any] = field(default_factory=dict)

    def complete(self, route: Route) -> None:
        for method, operation in self._operations(route):
            if route.face is not None and not route.face.strangers:
                operation["security"] = ANYBODY if route.traits.public else SIGNED_IN
            for parameter in operation.get("parameters", ()):
                parameter["schema"].pop("title", None)
            self._take(method, operation, route)
            self._answer(method, operation, route)

    def link(self, route: Route, targets: Iterable[Route]) -> None:
        """Say where an answer leads; the project stays that of the request, unless it is what the answer names."""
        if route.traits.makes is None:
            return
        name, pointer = route.traits.makes
        parameters = {"project": "$request.path.project"} if "{project}" in route.path_format else {}
        parameters[name] = f"$response.body#{pointer}"
        following = [target.unique_id for target in targets if target.traits.follows == name]
        for _method, operation in self._operations(route):
            operation["responses"][str(int(route.main_status))]["links"] = {
                each: {"operationId": each, "parameters": parameters} for each in following
            }

    def _operations(self, route: Route) -> Iterator[tuple[str, dict[str, Any]]]:
        for method in route.methods or ():
            yield method, self.paths[route.path_format][method.lower()]

    def _take(self, method: str, operation: dict[str, Any], route: Route) -> None:
        """Tell the parameters in the query and the body."""
        query, reads = route.traits.query, route.reads
        if method == "GET":
            query, reads = query or reads, None
        body = route.traits.body or reads
        if query is not None:
            parameters, referred = query_parameters(query)
            # After those of the path, and before those that the route tells itself.
            own = operation.setdefault("parameters", [])
            own[:] = sorted([*parameters, *own], key=lambda each: ("path", "query", "header").index(each["in"]))
            self.components.update(referred)
        if body is not None:
            operation["requestBody"], referred = request_body(body)
            self.components.update(referred)

    def _answer(self, method: str, operation: dict[str, Any], route: Route) -> None:
        responses = operation["responses"]
        responses.pop("422", None)  # parameters are never refused by FastAPI
        for status, response in responses.items():
            response["headers"] = {"X-Request-Id": _TEXT, **response.get("headers", {})}
            if schema := self.schemas.get((route.unique_id, status)):
                response["content"] = {kind: {"schema": schema} for kind in response.get("content") or [JSON]}
        if route.listing:
            keyset = route.reads is not None and issubclass(route.reads, KeysetQuery)
            responses[str(int(route.main_status))]["headers"] |= KEYSET_PAGING if keyset else PAGING
        if route.face is not None:
            plain = (int(status) for status in responses if int(status) not in route.shapes)
            own = (status for status in plain if status >= HTTPStatus.BAD_REQUEST)
            usual = refusals.of_all(method, route.path_format, operation, route.face)
            for status in {*own, *usual} - route.shapes.keys():
                responses[str(status)] = self._refusal(status, route)
            for status in route.shapes:
                self._tell_usual(int(status), responses[str(status)], route.face)

    def _tell_usual(self, status: int, response: dict[str, Any], face: Face) -> None:
        """Tell that a refusal of which the route says what it is in another type may come in its face's shape, too."""
        if status >= HTTPStatus.BAD_REQUEST and JSON not in response["content"]:
            usual = refusals.told(status, face, self.schemas[face])
            response.update(usual | {"content": usual["content"] | response["content"]})

    def _refusal(self, status: int, route: Route) -> dict[str, Any]:
        """A reference to what all operations of the route's face answer with that status."""
        assert route.face is not None  # noqa: S101 - for mypy
        name = f"{route.face.name}{status}"
        if name not in self.responses:
            self.responses[name] = refusals.told(status, route.face, self.schemas[route.face])
        return {"$ref": f"#/components/responses/{name}"}
