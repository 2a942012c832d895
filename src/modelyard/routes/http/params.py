"""Parameters as GitLab's clients send them: a query, a urlencoded or multipart form, or JSON, all merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, get_origin

from fastapi import Request
from fastapi.params import Depends
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from modelyard.errors import ParameterError
from modelyard.routes.http.bodies import SMALL_BODY_BYTES, Values, bodies_of, has_body, read_query
from modelyard.routes.http.known import known_first

M = TypeVar("M", bound="Parameters")

LONG_BODY_BYTES = 2 * 1024 * 1024  # of a request with a long text: 100 000 characters may be a megabyte of escapes
LISTS_BODY_BYTES = 8 * 1024 * 1024  # of a request with lists
MAX_SENTENCES = 10  # that one refusal has
MAX_TEXT = 10_000  # characters of a text that has no bound of its own


class Parameters(BaseModel):
    """What all parameters of requests are read into: there is no text without a bound in them."""

    model_config = ConfigDict(str_max_length=MAX_TEXT, defer_build=True)


@dataclass(frozen=True)
class FromRequest(Depends):
    """A dependency that reads a request's parameters into a model, which OpenAPI then tells."""

    model: type[Parameters] = Parameters


def parameters(model: type[M], *, public: bool = False, most: int | None = None) -> Any:  # noqa: ANN401 - stands as a default value, as FastAPI's own Depends does
    """A dependency that reads a request's parameters into `model`; ParameterError names the fields that fail.

    Who is not known is told that alone, and before a body that is large or not there yet is waited for; but for
    requests that are `public`. `most`: bytes of its body, where it is not told by whether the model has lists.
    """
    lists = list_fields(model)
    limit = most or (LISTS_BODY_BYTES if lists else SMALL_BODY_BYTES)

    async def read(request: Request) -> M:
        async with known_first(request, public=public) as visitor:
            if not has_body(request.headers):
                return validate(model, read_query(request, lists))

            def whole(values: Values) -> M:
                return validate(model, read_query(request, lists) | values)

            await visitor.introduce()
            return await bodies_of(request).read(request, whole, limit, lists)

    return FromRequest(read, model=model)


def stating(**rules: Any) -> Any:  # noqa: ANN401 - stands in an annotation, as pydantic's own Field does
    """A field of which the schema tells rules that a service holds, so that it refuses in its own words."""
    return Field(max_length=LISTS_BODY_BYTES if "maxLength" in rules else None, json_schema_extra=rules)


def empty_is_none(value: object) -> object:
    """What stands before optional fields: a form or a query cannot say null, an empty value does."""
    return None if value == "" else value


def comma_separated(value: object) -> object:
    """What stands before lists: forms and queries may send one as words separated by commas."""
    return [word for word in value.split(",") if word] if isinstance(value, str) else value


def one_or_many(value: object) -> object:
    """What stands before lists of texts that may have commas: a query or a form with one of them says no list."""
    return [value] if isinstance(value, str) else value


def validate(model: type[M], values: dict[str, Any]) -> M:
    """`values` as a `model`; raises ParameterError in the words of GitLab's parameter checks."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        sentences = dict.fromkeys(map(_sentence, details))  # a field that may be of several kinds fails once for each
        raise ParameterError(", ".join(list(sentences)[:MAX_SENTENCES])) from error


def list_fields(model: type[Parameters]) -> frozenset[str]:
    """The fields of a model that are lists, and so may be repeated in a query; in MLflow's API also as protobuf's JSON
    spells them.
    """
    names = [name for name, field in model.model_fields.items() if get_origin(field.annotation) is list]
    return frozenset(names + [to_camel(name) for name in names])


def _sentence(detail: ErrorDetails) -> str:
    name = str(detail["loc"][0]) if detail["loc"] else "request"
    if detail["type"] == "missing":
        return f"{name} is missing"
    if detail["type"] == "string_too_long":
        return f"{name} is too long (maximum is {detail['ctx']['max_length']} characters)"
    return (
        f"{name} does not have a valid value" if detail["type"] in {"enum", "literal_error"} else f"{name} is invalid"
    )
