"""One request in all the ways in which protobuf's JSON mapping lets a client write it, from the types of its fields."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

Body = dict[str, Any]


def leaves(annotation: Any) -> Iterator[type]:
    """The types within an annotation, past lists, unions and what annotates them."""
    if get_origin(annotation) is Annotated:
        yield from leaves(annotation.__origin__)
    elif get_origin(annotation) in {list, Union, types.UnionType}:
        for each in get_args(annotation):
            yield from leaves(each)
    elif isinstance(annotation, type):
        yield annotation


def in_camel_case(model: type[BaseModel], body: Body) -> Body:
    return _rewritten(model, body, name=to_camel)


def with_numbers_as_texts(model: type[BaseModel], body: Body) -> Body:
    def write(kinds: set[type], value: Any) -> Any:
        is_number = kinds & {int, float} and isinstance(value, (int, float)) and not isinstance(value, bool)
        return str(value) if is_number else value

    return _rewritten(model, body, value=write)


def with_integers_as_floats(model: type[BaseModel], body: Body) -> Body:
    return _rewritten(model, body, value=lambda kinds, value: float(value) if _is_integer(kinds, value) else value)


def with_integers_in_exponents(model: type[BaseModel], body: Body) -> Body:
    return _rewritten(model, body, value=lambda kinds, value: f"{value:.15e}" if _is_integer(kinds, value) else value)


def with_enums_by_number(model: type[BaseModel], body: Body) -> Body:
    def write(kinds: set[type], value: Any) -> Any:
        enums = [kind for kind in kinds if issubclass(kind, StrEnum)]
        return list(enums[0]).index(enums[0](value)) + 1 if enums and value in list(enums[0]) else value

    return _rewritten(model, body, value=write)


def with_nulls(model: type[BaseModel], body: Body) -> Body:
    return _rewritten(model, body, nulls=True)


def with_unknown_fields(model: type[BaseModel], body: Body) -> Body:
    return _rewritten(model, body, extra={"unknown": {"deep": [1, None]}, "alsoUnknown": None})


def all_at_once(model: type[BaseModel], body: Body) -> Body:
    for write in (with_numbers_as_texts, with_enums_by_number, with_nulls, with_unknown_fields, in_camel_case):
        body = write(model, body)
    return body


SPELLINGS: list[Callable[[type[BaseModel], Body], Body]] = [
    in_camel_case,
    with_numbers_as_texts,
    with_integers_as_floats,
    with_integers_in_exponents,
    with_enums_by_number,
    with_nulls,
    with_unknown_fields,
    all_at_once,
]


def _is_integer(kinds: set[type], value: Any) -> bool:
    return int in kinds and isinstance(value, int) and not isinstance(value, bool)


def _rewritten(
    model: type[BaseModel],
    body: Body,
    name: Callable[[str], str] = str,
    value: Callable[[set[type], Any], Any] = lambda _kinds, value: value,
    nulls: bool = False,
    extra: Body | None = None,
) -> Body:
    fields = {field.alias or key: set(leaves(field.annotation)) for key, field in model.model_fields.items()}

    def write(kinds: set[type], given: Any) -> Any:
        if isinstance(given, list):
            return [write(kinds, each) for each in given]
        if isinstance(given, dict):
            nested = next((kind for kind in kinds if issubclass(kind, BaseModel)), None)
            return _rewritten(nested, given, name, value, nulls, extra) if nested else given
        return value(kinds, given)

    written = {name(key): write(fields.get(key, set()), each) for key, each in body.items()}
    absent = {name(key): None for key in fields if key not in body} if nulls else {}
    return absent | written | (extra or {})
