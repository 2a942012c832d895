"""Parameters as GitLab's clients send them: a query, a urlencoded or multipart form, or JSON, all merged."""

from __future__ import annotations

import json
from typing import Any, TypeVar, get_origin

import orjson
from fastapi import Depends, Request
from pydantic import BaseModel, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails
from starlette.formparsers import FormParser, MultiPartException

from modelyard.errors import BodyTooLarge, ParameterError
from modelyard.wire.encodings import refuse_encoded
from modelyard.wire.fields import FieldParser

M = TypeVar("M", bound=BaseModel)

MAX_BODY_BYTES = 8 * 1024 * 1024
_ESCAPED_NUL = b"\\u0000"
BODY, QUERY = "x-body", "x-query"  # models in the place of their descriptions
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


def parameters(model: type[M]) -> Any:  # noqa: ANN401 - stands as a default value, as FastAPI's own Depends does
    """A dependency that reads a request's parameters into `model`; ParameterError names each field that fails."""
    lists = list_fields(model)

    async def read(request: Request) -> M:
        return validate(model, await read_parameters(request, lists))

    return Depends(read)


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """Stands for the OpenAPI description of a route that takes `parameters(model)` in its body; see `described`."""
    return {BODY: model}


def query_documented(model: type[BaseModel]) -> dict[str, Any]:
    """Stands for the OpenAPI description of a route that takes `parameters(model)` in its query; see `described`."""
    return {QUERY: model}


def stating(**rules: Any) -> Any:  # noqa: ANN401 - stands in an annotation, as pydantic's own Field does
    """A field of which the schema tells rules that a service holds, so that it refuses in its own words."""
    return Field(json_schema_extra=rules)


def described(extra: dict[str, Any]) -> dict[str, Any]:
    """What a route adds to its OpenAPI description, with the schemas of its models.

    They are made when somebody asks for them: to make them all would be a tenth of a start.
    """
    told = {key: value for key, value in extra.items() if key not in {BODY, QUERY}}
    if BODY in extra:
        schema = _schema_of(extra[BODY])
        content = {"application/json": {"schema": schema}}
        if form := _form_of(schema):
            content[FORM_TYPES[0]] = {"schema": form}
        told["requestBody"] = {"content": content, "required": "required" in schema}
    if QUERY in extra:
        schema = _schema_of(extra[QUERY])
        told |= {
            "parameters": [*told.get("parameters", ()), *_query_parameters(schema)],
            "$defs": schema.get("$defs", {}),
        }
    return told


def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model; those that it refers to are in its `$defs`, to be taken into the document's components."""
    return model.model_json_schema(ref_template="#/components/schemas/{model}")


def _form_of(schema: dict[str, Any]) -> dict[str, Any] | None:
    """What a form can say of that schema: no null; None for one with lists of objects, which are for JSON alone."""
    fields: dict[str, Any] = {}
    for name, field in schema.get("properties", {}).items():
        kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
        if any("$ref" in kind.get("items", {}) for kind in (field, *kinds)):
            return None
        fields[name] = field | {"anyOf": kinds} if kinds else field
    return {key: value for key, value in schema.items() if key != "$defs"} | {"properties": fields}


def _query_parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    required, fields = schema.get("required", ()), schema.get("properties", {})
    return [{"name": n, "in": "query", "required": n in required, "schema": field} for n, field in fields.items()]


def empty_is_none(value: object) -> object:
    """What stands before optional fields: a form or a query cannot say null, an empty value does."""
    return None if value == "" else value


def comma_separated(value: object) -> object:
    """What stands before lists: forms and queries may send one as words separated by commas."""
    return [word for word in value.split(",") if word] if isinstance(value, str) else value


def validate(model: type[M], values: dict[str, Any]) -> M:
    """`values` as a `model`; raises ParameterError in the words of GitLab's parameter checks."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # A field that may be of several kinds fails once for each.
        raise ParameterError(", ".join(dict.fromkeys(_sentence(detail) for detail in error.errors()))) from error


def list_fields(model: type[BaseModel]) -> frozenset[str]:
    """The fields of a model that are lists, and so may be repeated in a query; in MLflow's API also as protobuf's JSON
    spells them.
    """
    names = [name for name, field in model.model_fields.items() if get_origin(field.annotation) is list]
    return frozenset(names + [to_camel(name) for name in names])


async def read_parameters(request: Request, lists: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The merged parameters of a request; the body wins over the query.

    Names that end in `[]`, or as PHP has it in `[0]`, or are among `lists` become lists; of any other that is repeated
    the last counts.
    """
    return read_query(request, lists) | await read_body(request, lists)


def read_query(request: Request, lists: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The parameters in a request's query."""
    values: dict[str, Any] = {}
    if not request.scope["query_string"]:
        return values
    for name, value in request.query_params.multi_items():
        _collect(values, name, value, lists)
    return values


async def read_body(request: Request, lists: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The parameters in a request's body. Raises ParameterError, BodyTooLarge and UnsupportedMediaType."""
    if "content-length" not in request.headers and "transfer-encoding" not in request.headers:
        return {}  # there is no body (RFC 9112 section 6.3)
    refuse_encoded(request.headers)
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    body = await _bounded_body(request)
    if not body.strip():
        return {}
    if content_type in FORM_TYPES:
        return await _read_form(request, lists, FormParser if content_type == FORM_TYPES[0] else FieldParser)
    return _read_json(body)


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
    request._body = bytes(body)
    return request._body


async def _read_form(request: Request, lists: frozenset[str], parser: type[FieldParser | FormParser]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    try:
        form = await parser(request.headers, request.stream()).parse()
    except MultiPartException as error:
        raise ParameterError("The form is malformed") from error
    try:
        for name, value in form.multi_items():
            if isinstance(value, str):
                _collect(values, name, value, lists)
    finally:
        await form.close()
    return values


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        encoding = json.detect_encoding(body)  # from marks of byte order, and from NULs
        if encoding != "utf-8":
            body = body.decode(encoding).encode()
        values = orjson.loads(body)  # which refuses halves of surrogate pairs
    except ValueError as error:
        raise ParameterError("The request body is not valid JSON") from error
    if values is None or values == []:
        return {}  # as some clients, and PHP, write an object without fields
    if not isinstance(values, dict):
        raise ParameterError("The request body is not a JSON object")
    if _ESCAPED_NUL in body:
        _refuse_unstorable(values)
    return values


def _refuse_unstorable(value: object) -> None:
    """Refuse texts that no database keeps: those with NUL in them. JSON may be nested deeper than Python calls may."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if "\0" in each:
                raise ParameterError("The request contains a character that cannot be stored")
        elif isinstance(each, dict):
            waiting += [*each, *each.values()]
        elif isinstance(each, list):
            waiting += each


def _collect(values: dict[str, Any], name: str, value: str, lists: frozenset[str]) -> None:
    _refuse_unstorable(value)
    listed = _listed(name) if name.endswith("]") else None
    name = listed or name
    known = values.get(name, [])
    if listed or (name in lists and known):
        values[name] = [*([known] if isinstance(known, str) else known), value]
    else:
        values[name] = value


def _listed(name: str) -> str | None:
    """The name of the list to which `name[]` or `name[0]` adds."""
    before, bracket, index = name[:-1].partition("[")
    return before if bracket and (not index or index.isdecimal()) else None


def _sentence(detail: ErrorDetails) -> str:
    name = str(detail["loc"][0]) if detail["loc"] else "request"
    if detail["type"] == "missing":
        return f"{name} is missing"
    return (
        f"{name} does not have a valid value" if detail["type"] in {"enum", "literal_error"} else f"{name} is invalid"
    )
