"""Endpoints as plain operations on a request, for those that can be called past FastAPI.

Their arguments are of few kinds: the request, parts of the path, and dependencies that are made of these. FastAPI's own
way to the same arguments, which other endpoints go, takes about a millisecond.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from fastapi.params import Depends
from starlette.requests import Request
from starlette.responses import Response

from modelyard.routes.http.params import FromRequest

Operation = Callable[[Request], Awaitable[Response]]
Make = Callable[[Request], Awaitable[Any]]


@cache
def operation_of(endpoint: Callable[..., Awaitable[Any]]) -> Make:
    """The endpoint, or a dependency, as an operation. Raises TypeError for an argument that is made in another way."""
    parameters = inspect.signature(endpoint, eval_str=True).parameters
    at_hand: dict[str, Callable[[Request], object]] = {}
    made: dict[str, Make] = {}
    for name, parameter in parameters.items():
        dependency = _dependency(parameter)
        if dependency is not None:
            made[name] = dependency
        else:
            at_hand[name] = _value(endpoint, parameter)
    if list(at_hand.values()) == [_request] and not made:
        return endpoint

    async def operation(request: Request) -> Any:  # noqa: ANN401 - what the endpoint returns
        arguments = {name: value(request) for name, value in at_hand.items()}
        for name, make in made.items():
            arguments[name] = await make(request)
        return await endpoint(**arguments)

    return operation


def _dependency(parameter: inspect.Parameter) -> Make | None:
    if isinstance(parameter.default, FromRequest):
        return parameter.default.dependency  # which takes the request alone
    for told in get_args(parameter.annotation)[1:]:
        if isinstance(told, Depends) and told.dependency is not None:
            return operation_of(told.dependency)
    return None


def _value(endpoint: Callable[..., object], parameter: inspect.Parameter) -> Callable[[Request], object]:
    if parameter.annotation is Request:
        return _request
    if get_origin(parameter.annotation) is Annotated and get_args(parameter.annotation)[0] is str:
        name = parameter.name
        return lambda request: request.path_params[name]
    raise TypeError(f"{endpoint} takes {parameter}, which no request past FastAPI can give it")


def _request(request: Request) -> object:
    return request
