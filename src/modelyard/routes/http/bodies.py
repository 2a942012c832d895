"""Parameters out of a request's query and body, of which no more is read, and held, than is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from fastapi import Request
from starlette.formparsers import FormParser, MultiPartException

from modelyard.errors import BodyTooLarge, ParameterError, RequestTimeout
from modelyard.services.traffic.body_budget import BodyBudget, Claim
from modelyard.wire import json_values
from modelyard.wire.encodings import refuse_encoded
from modelyard.wire.fields import FieldParser

T = TypeVar("T")
Values = dict[str, Any]

SMALL_BODY_BYTES = 64 * 1024  # of what is read on the event loop: forms, and whatever has no lists
BODY_SECONDS = 60.0  # in which a body must be there: these are no transfers
BODILESS = frozenset({"GET", "HEAD", "DELETE"})  # methods whose bodies are small ones, if any
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


def bodies_of(request: Request) -> Bodies:
    """What reads the bodies of this process."""
    bodies: Bodies = request.app.state.bodies
    return bodies


def has_body(headers: Mapping[str, str]) -> bool:
    """Whether a request with those headers has a body (RFC 9112 section 6.3)."""
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


class Bodies:
    """Reads bodies within one budget; large ones are taken apart on a thread, one at a time."""

    def __init__(self) -> None:
        self.budget = BodyBudget()
        self._thread = ThreadPoolExecutor(1, "large-body")

    async def read(
        self, request: Request, use: Callable[[Values], T], limit: int, lists: frozenset[str] = frozenset()
    ) -> T:
        """What `use` makes of the parameters in a body of at most `limit` bytes; `use` may run on another thread.

        Raises ParameterError, BodyTooLarge, UnsupportedMediaType, RequestTimeout, Unavailable, and what `use` raises.
        """
        refuse_encoded(request.headers)
        content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        form = content_type in FORM_TYPES
        if form or request.method in BODILESS:
            limit = SMALL_BODY_BYTES
        with self.budget.claim(request.scope["sender"]) as claim:
            body = await _received(request, claim, limit)
            if not body or body.isspace():
                return use({})
            if form:
                return use(await _read_form(request, body, lists, content_type))
            if len(body) <= SMALL_BODY_BYTES:
                return use(read_json(body))
            context = copy_context()
            # Not by a name: a refusal would hold the frame, this the future, that the refusal, and all three the body.
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, lambda: context.run(lambda: use(read_json(body)))
            )

    async def read_raw(self, request: Request, use: Callable[[bytes], T], limit: int) -> T:
        """What `use` makes of a body of at most `limit` bytes as it is, on another thread where it is large.

        Raises as `read`.
        """
        refuse_encoded(request.headers)
        with self.budget.claim(request.scope["sender"]) as claim:
            body = bytes(await _received(request, claim, limit))
            if len(body) <= SMALL_BODY_BYTES:
                return use(body)
            context = copy_context()
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: context.run(use, body))

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown()


async def _received(request: Request, claim: Claim, limit: int) -> bytearray:
    declared, received = int(request.headers.get("content-length", 0)), 0
    if declared > limit:
        raise BodyTooLarge
    await claim.grow(declared)
    body = bytearray(declared)  # one that grows is copied, and twice there meanwhile
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                end = received + len(chunk)
                if end > limit:
                    raise BodyTooLarge
                await claim.grow(end)
                body[received:end] = chunk
                received = end
    except TimeoutError as error:
        raise RequestTimeout from error
    return body


def read_query(request: Request, lists: frozenset[str] = frozenset()) -> Values:
    """The parameters in a request's query."""
    values: Values = {}
    if not request.scope["query_string"]:
        return values
    for name, value in request.query_params.multi_items():
        _collect(values, name, value, lists)
    return values


def read_json(body: bytearray) -> Values:
    """The members of a JSON object. Raises ParameterError, before anything is made of too many values."""
    try:
        values = json_values.parse(body)
    except (json_values.TooManyValues, json_values.Unstorable) as error:
        raise ParameterError(str(error)) from error
    except ValueError as error:
        raise ParameterError("The request body is not valid JSON") from error
    if values is None or values == []:
        return {}  # as some clients, and PHP, write an object without fields
    if not isinstance(values, dict):
        raise ParameterError("The request body is not a JSON object")
    return values


async def _read_form(request: Request, body: bytearray, lists: frozenset[str], content_type: str) -> Values:
    parser = FormParser if content_type == FORM_TYPES[0] else FieldParser
    values: Values = {}
    try:
        form = await parser(request.headers, _at_once(body)).parse()
    except MultiPartException as error:
        raise ParameterError("The form is malformed") from error
    try:
        for name, value in form.multi_items():
            if isinstance(value, str):
                _collect(values, name, value, lists)
    finally:
        await form.close()
    return values


async def _at_once(body: bytearray) -> AsyncGenerator[bytes, None]:
    yield bytes(body)
    yield b""


def _collect(values: Values, name: str, value: str, lists: frozenset[str]) -> None:
    if "\0" in value:
        raise ParameterError(str(json_values.Unstorable()))
    listed = _listed(name) if name.endswith("]") else None
    name = listed or name
    if listed or (name in lists and name in values):
        known = values.get(name, [])
        values[name] = known if isinstance(known, list) else [known]
        values[name].append(value)
    else:
        values[name] = value


def _listed(name: str) -> str | None:
    """The name of the list to which `name[]` or `name[0]` adds."""
    before, bracket, index = name[:-1].partition("[")
    return before if bracket and (not index or index.isdecimal()) else None
