"""OpenAPI's schemas, out of the types that routes declare."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from modelyard.routes.http.bodies import FORM_TYPES
from modelyard.routes.http.params import Parameters

Schema = dict[str, Any]

REF = "#/components/schemas/{model}"


class _Untitled(GenerateJsonSchema):
    """Schemas without titles, which would say the names of all fields once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's own
        return False


class _Nullable(GenerateJsonSchema):
    """Schemas without defaults that are null: to leave a field out is another thing than to send null, or empty."""

    def default_schema(self, schema: Any) -> Schema:  # noqa: ANN401 - pydantic's own
        told = super().default_schema(schema)
        return {key: value for key, value in told.items() if key != "default" or value is not None}


def answered(shapes: Mapping[Hashable, Any]) -> tuple[dict[Hashable, Schema], dict[str, Schema]]:
    """The schema of each of the types, and the schemas that those refer to, by name."""
    mode: Literal["serialization"] = "serialization"
    adapters = [(key, mode, TypeAdapter(shape)) for key, shape in shapes.items()]
    found, referred = TypeAdapter.json_schemas(adapters, ref_template=REF, schema_generator=_Untitled)
    return {key: schema for (key, _mode), schema in found.items()}, referred.get("$defs", {})


def request_body(model: type[Parameters]) -> tuple[Schema, dict[str, Schema]]:
    """What a body may be that `model` is read from, and the schemas that it refers to, by name."""
    schema, referred = _of_parameters(model)
    content = {"application/json": {"schema": schema}}
    if form := _form_of(schema):
        content[FORM_TYPES[0]] = {"schema": form}
    return {"content": content, "required": "required" in schema}, referred


def query_parameters(model: type[Parameters]) -> tuple[list[Schema], dict[str, Schema]]:
    """The parameters of a query that `model` is read from, and the schemas that they refer to, by name."""
    schema, referred = _of_parameters(model)
    required, fields = schema.get("required", ()), schema.get("properties", {})
    return [{"name": n, "in": "query", "required": n in required, "schema": f} for n, f in fields.items()], referred


def _of_parameters(model: type[Parameters]) -> tuple[Schema, dict[str, Schema]]:
    schema = model.model_json_schema(ref_template=REF, schema_generator=_Nullable)
    return schema, schema.pop("$defs", {})


def _form_of(schema: Schema) -> Schema | None:
    """What a form can say of that schema: no null; None for one with lists of objects, which are for JSON alone."""
    fields: Schema = {}
    for name, field in schema.get("properties", {}).items():
        kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
        if any("$ref" in kind.get("items", {}) for kind in (field, *kinds)):
            return None
        fields[name] = field | {"anyOf": kinds} if kinds else field
    return schema | {"properties": fields}
