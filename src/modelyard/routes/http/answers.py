"""Answers that carry the type of what is in them, and the words that such types are made of.

A shape is a TypedDict beside its endpoint: mypy holds the function that fills it to it, OpenAPI is made of it when
somebody asks for the document, and no request pays for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

import orjson
from fastapi import Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field, WithJsonSchema, with_config
from typing_extensions import TypedDict

from modelyard.wire.send import BytesResponse

T = TypeVar("T")

# Texts, as a client may rely on them.
Timestamp = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Day = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]
Url = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@with_config(extra="forbid")
class Nothing(TypedDict):
    """An empty object, by which most changes are answered."""


NOTHING: Nothing = {}


class Answer(Response, Generic[T]):
    """A response with a T in JSON."""

    media_type = "application/json"


class JSONAnswer(JSONResponse, Answer[T]):
    """A response that writes its T down by itself."""

    if TYPE_CHECKING:

        def __init__(self, content: T, status_code: int = 200) -> None: ...


class Listing(JSONResponse, Answer[T]):
    """A page of a list of Ts, with GitLab's paging headers."""

    if TYPE_CHECKING:

        def __init__(self, content: list[T], *, headers: Mapping[str, str]) -> None: ...


class StreamedAnswer(StreamingResponse, Answer[T]):
    """A response that sends its T piece by piece."""


class BytesAnswer(BytesResponse, Answer[T]):
    """A response whose T is at hand as bytes, with headers that need no more work."""


def answer(body: T, headers: Mapping[str, str] | None = None) -> Answer[T]:
    """200 with a body in JSON. A run may have megabytes: orjson takes a tenth of the time that the standard library
    does, and FastAPI's own encoder would take ten times as long again.

    What is large is to be written down on the thread that has read it, and given to an Answer as it is.
    """
    return Answer(orjson.dumps(body), headers=headers)
