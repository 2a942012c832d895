"""OpenAPI's schemas, out of the types that routes declare."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import UnionType
from typing import Any, Literal, get_args

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from modelyard.routes.http.bodies import FORM_TYPES, SMALL_BODY_BYTES
from modelyard.routes.http.params import Parameters

Schema = dict[str, Any]

NOTHING: tuple[Schema, ...] = ({"type": "null"}, {"type": "array", "maxItems": 0})  # as clients write no fields
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


def request_body(models: type[Parameters] | UnionType) -> tuple[Schema, dict[str, Schema]]:
    """What a body may be that one of `models` is read from, and the schemas that it refers to, by name."""
    told = [_of_parameters(model) for model in get_args(models) or (models,)]
    schemas, referred = [schema for schema, _ in told], {name: each for _, more in told for name, each in more.items()}
    needed = all("required" in schema for schema in schemas)
    content = {"application/json": {"schema": _any_of(*schemas, *(() if needed else NOTHING))}}
    forms = [form for schema in schemas if (form := _form_of(schema))]
    if forms:
        content[FORM_TYPES[0]] = {"schema": _any_of(*forms)}
    return {"content": content, "required": needed}, referred


def query_parameters(model: type[Parameters]) -> tuple[list[Schema], dict[str, Schema]]:
    """The parameters of a query that `model` is read from, and the schemas that they refer to, by name."""
    schema, referred = _of_parameters(model)
    required, fields = schema.get("required", ()), schema.get("properties", {})
    return [{"name": n, "in": "query", "required": n in required, "schema": f} for n, f in fields.items()], referred


def _any_of(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)} if len(schemas) > 1 else schemas[0]


def _of_parameters(model: type[Parameters]) -> tuple[Schema, dict[str, Schema]]:
    schema = model.model_json_schema(ref_template=REF, schema_generator=_Nullable)
    return schema, schema.pop("$defs", {})


def _form_of(schema: Schema) -> Schema | None:
    """What a form can say of that schema: no null, one value for a list of one, 0 and 1 for what is false or true, and
    an object as a text of JSON; None for one with lists of objects, which are for JSON alone.
    """
    fields: Schema = {}
    for name, field in schema.get("properties", {}).items():
        kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
        if any("$ref" in kind.get("items", {}) for kind in (field, *kinds)):
            return None
        fields[name] = _sent(field | {"anyOf": kinds} if kinds else field)
    return schema | {"properties": fields}


def _sent(field: Schema) -> Schema:
    kinds = field.get("anyOf")
    if kinds:
        return field | {"anyOf": [_sent(kind) for kind in kinds]}
    told = {key: field[key] for key in ("default", "description") if key in field}
    plain = {key: value for key, value in field.items() if key not in told}
    if field.get("type") == "object":
        most = SMALL_BODY_BYTES // 2  # there is room for other fields
        return told | {"type": "string", "contentMediaType": "application/json", "maxLength": most}
    if field.get("type") == "array":
        return told | {"anyOf": [plain, field["items"]]}
    return told | {"anyOf": [plain, {"enum": [0, 1]}]} if plain == {"type": "boolean"} else field
