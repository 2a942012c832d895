"""MLflow's requests as protobuf's JSON mapping has them, worked out from the types of their fields.

Whatever a client in another language writes by itself is taken: null for absent, also within, names in lowerCamelCase,
integers and numbers as texts, enums by number. <https://protobuf.dev/programming-guides/json/>
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

from modelyard.errors import ParameterError
from modelyard.routes.http.params import Parameters

Schema = dict[str, Any]

MAX_INT64 = 2**63 - 1
MAX_ID = 256  # characters of what names an experiment or a version
MAX_NUMBER = 400  # characters of a number that comes as a text; a double has 310 before its point at most
_DIGITS = re.compile(r"-?[0-9]+")


class Message(Parameters):
    """Parameters of a request, or a part of them. A field that is null is absent, and unknown ones are ignored."""

    _json_names: ClassVar[dict[str, str]] = {}  # the fields that have another name in JSON, by that one

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: object) -> object:
        return _mapped(cls._json_names, given)

    @classmethod
    def __pydantic_init_subclass__(cls, **_options: object) -> None:
        """Know the names in JSON, once for all requests."""
        names = [field.alias or name for name, field in cls.model_fields.items()]
        cls._json_names = {to_camel(name): name for name in names if to_camel(name) != name}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        reference = handler(schema)
        told = handler.resolve_ref_schema(reference)
        for name in told.get("properties", {}).keys() - set(told.get("required", ())):
            told["properties"][name] = _nullable(told["properties"][name])
        return reference


class OfRun(Message):
    """Which run is meant."""

    run_id: str
    run_uuid: str | None = Field(None, description="The older name of `run_id`, for which it may stand.")

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: object) -> object:
        read = _mapped(cls._json_names, given)
        if isinstance(read, dict) and not read.get("run_id") and "run_uuid" in read:
            return read | {"run_id": read["run_uuid"]}
        return read


@dataclass(frozen=True, slots=True)
class _Spelled:
    """A number that may come as a text too; one that does not costs no call of `read`."""

    read: Callable[[object], object]
    text: str  # a regular expression for it

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        number: Any = handler(source)
        choices: list[CoreSchema | tuple[CoreSchema, str]] = [
            number | {"strict": True},
            core_schema.no_info_before_validator_function(self.read, number),
        ]
        return core_schema.union_schema(
            choices, mode="left_to_right", custom_error_type="number", custom_error_message="no such number"
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> Schema:  # noqa: ANN401
        spelled = {"type": "string", "maxLength": MAX_NUMBER, "pattern": self.text}
        return {"anyOf": [handler(schema["choices"][0]), spelled]}


@dataclass(frozen=True, slots=True)
class _Numbered:
    """An enum whose members may come by number: MLflow counts from 1, in the order in which ours are declared."""

    def __get_pydantic_core_schema__(self, source: type[StrEnum], handler: GetCoreSchemaHandler) -> CoreSchema:
        members = list(source)

        def read(value: object) -> object:
            if isinstance(value, str) and not _DIGITS.fullmatch(value):
                return value
            number = _integer(value)
            return members[number - 1] if isinstance(number, int) and 0 < number <= len(members) else value

        return core_schema.no_info_before_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        named = handler(schema)
        count = len(handler.resolve_ref_schema(named)["enum"])
        return {"anyOf": [named, {"type": "integer", "minimum": 1, "maximum": count}]}


def _integer(value: object) -> object:
    if isinstance(value, str):
        _check_spelling(value)
        value = int(value) if _DIGITS.fullmatch(value) else float(value)
    if isinstance(value, float):
        # What is beyond 64 bits has become a float on its way, and the least integer of 64 bits may be a rounded one.
        if not value.is_integer() or abs(value) > MAX_INT64:
            raise ValueError("no integer of 64 bits")
        value = int(value)
    if isinstance(value, bool):
        raise ValueError("no number")
    return value


def _double(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("no number")
    if isinstance(value, str):
        _check_spelling(value)
    return value


def _check_spelling(text: str) -> None:
    if len(text) > MAX_NUMBER:
        raise ValueError("no number is as long")


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class _TextOrNumber:
    """A text that may come as the number that it stands for: ids are texts here, and numbers in many a client."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_text, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        return {"anyOf": [handler(schema), {"type": "integer"}]}


def _flag(value: object) -> object:
    """Protobuf's JSON has no numbers for true and false."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("no truth value")
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]
_INTEGER = _Spelled(_integer, "^-?[0-9]+$")
Count = Annotated[int, Field(ge=0, le=MAX_INT64), _INTEGER]
Int64 = Annotated[int, Field(ge=-MAX_INT64 - 1, le=MAX_INT64), _INTEGER]
Double = Annotated[float, _Spelled(_double, r"^(NaN|-?Infinity|-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?)$")]
NumberOrText = Annotated[str, _TextOrNumber()]
Id = Annotated[str, Field(max_length=MAX_ID), _TextOrNumber()]
NUMBERED = _Numbered()  # in an enum's annotation


def _mapped(json_names: Mapping[str, str], given: object) -> object:
    if not isinstance(given, dict) or (None not in given.values() and json_names.keys().isdisjoint(given)):
        return given  # nearly always
    found: dict[str, object] = {}
    for spelling, value in given.items():
        name = json_names.get(spelling, spelling)
        if value is None:
            continue
        if name in found:
            raise ParameterError(f"Request specifies both '{name}' and '{to_camel(name)}'; provide only one of them.")
        found[name] = value
    return found


def _nullable(field: Schema) -> Schema:
    if {"type": "null"} in field.get("anyOf", ()):
        return field
    annotations = {key: field[key] for key in ("default", "description", "title") if key in field}
    return annotations | {"anyOf": [{k: v for k, v in field.items() if k not in annotations}, {"type": "null"}]}
