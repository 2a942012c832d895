"""OpenAPI's schemas of what is answered, out of the types that endpoints return."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from starlette.routing import BaseRoute

from modelyard.routes.http.routing import Route

REF = "#/components/schemas/{model}"


class _Untitled(GenerateJsonSchema):
    """Schemas without titles, which would say the names of all fields once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's own
        return False


def schemas_of(routes: Iterable[BaseRoute]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of each operation's answer, by method and path, and those that they refer to, by name."""
    shapes = {
        f"{method} {route.path_format}": route.shape
        for route in routes
        if isinstance(route, Route) and route.include_in_schema and route.shape is not None
        for method in route.methods or ()
    }
    mode: Literal["serialization"] = "serialization"
    adapters = [(key, mode, TypeAdapter(shape)) for key, shape in shapes.items()]
    found, referred = TypeAdapter.json_schemas(adapters, ref_template=REF, schema_generator=_Untitled)
    return {key: schema for (key, _mode), schema in found.items()}, referred.get("$defs", {})
