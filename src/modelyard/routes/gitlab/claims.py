"""What comes with a PUT of `…/<file>/authorize`: claims about an upload of that file, or a file named `authorize`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import Request
from pydantic import Field, field_validator
from starlette.types import Message

from modelyard.errors import ParameterError
from modelyard.routes.http.bodies import SMALL_BODY_BYTES, Values, bodies_of, has_body
from modelyard.routes.http.params import Parameters
from modelyard.routes.http.transfers import OFFER_HEADER

_CLAIM_TYPES = frozenset({"application/json", "application/x-www-form-urlencoded"})
_JSON_OR_BLANK = b"{ \t\r\n"
HINT = "a file named authorize is taken as a form or with Content-Type: application/octet-stream"


class Claim(Parameters):
    """What a client may declare of a file before it sends it."""

    size: int | None = Field(None, ge=0, description="Bytes that the file has.")
    sha256: str | None = Field(None, pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of the file in hex.")

    @field_validator("sha256")
    @classmethod
    def _canonical(cls, value: str | None) -> str | None:
        return value.lower() if value else value


async def read_stated(request: Request) -> Values:
    """What the body states. Raises what `Bodies.read` raises."""
    if not has_body(request.headers):
        return {}
    try:
        return await bodies_of(request).read(request, dict, SMALL_BODY_BYTES)
    except ParameterError as error:
        raise ParameterError(f"{error.body['error']}; {HINT}") from error


def refuse_other_facts(stated: Mapping[str, Any]) -> None:
    """Raise ParameterError for a body that states nothing of an upload, and so may be a file."""
    if stated and stated.keys().isdisjoint(Claim.model_fields):
        raise ParameterError(f"The request body has neither size nor sha256; {HINT}")


async def sent_file(request: Request, headers: Mapping[str, str]) -> tuple[Request, bool]:
    """The request, whose body is still to be read, and whether that is a file by its type, or else by its first byte.

    GitLab's Workhorse asks with the type of the upload, and without a body. Names in `headers` are in lower case.
    """
    if OFFER_HEADER in headers:
        return request, True  # which lies in the bucket
    if not has_body(headers):
        return request, False
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind:
        return request, kind not in _CLAIM_TYPES and not kind.endswith("+json")
    begun = [message async for message in _up_to_the_first_byte(request)]
    first = bytes(begun[-1].get("body", b"")[:1])
    return _replayed(request, begun), bool(first) and first not in _JSON_OR_BLANK


async def _up_to_the_first_byte(request: Request) -> AsyncIterator[Message]:
    message: Message = {"more_body": True}
    while message.get("more_body") and not message.get("body"):
        message = await request.receive()
        yield message


def _replayed(request: Request, messages: list[Message]) -> Request:
    """The request, as if those messages of its body were still to come."""

    async def receive() -> Message:
        return messages.pop(0) if messages else await request.receive()

    return Request(request.scope, receive)
