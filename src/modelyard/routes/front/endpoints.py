"""Endpoints as plain operations on a request, for those that can be called past FastAPI.

Their arguments are the few kinds that the routes of the file API and of MLflow take. FastAPI's own way to the same
arguments, which other endpoints go, takes about a millisecond.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, get_args, get_origin

from fastapi.params import Depends
from starlette.requests import Request
from starlette.responses import Response

from modelyard.routes.mlflow.common import InProject, project_call

Operation = Callable[[Request], Awaitable[Response]]
Argument = Callable[[Request], Awaitable[object]]


def operation_of(endpoint: Callable[..., Awaitable[Response]]) -> Operation | None:
    """The endpoint as an operation; None for one with an argument that is made in another way."""
    arguments: dict[str, Argument] = {}
    for parameter in inspect.signature(endpoint, eval_str=True).parameters.values():
        argument = _argument(parameter)
        if argument is None:
            return None
        arguments[parameter.name] = argument

    async def operation(request: Request) -> Response:
        return await endpoint(**{name: await argument(request) for name, argument in arguments.items()})

    return operation


def _argument(parameter: inspect.Parameter) -> Argument | None:
    if isinstance(parameter.default, Depends):
        dependency: Any = parameter.default.dependency  # of `parameters`, which takes the request alone
        return dependency  # type: ignore[no-any-return]
    if parameter.annotation is Request:
        return _request
    if parameter.annotation == InProject:
        return _project
    if get_origin(parameter.annotation) is Annotated and get_args(parameter.annotation)[0] is str:
        return _path_parameter(parameter.name)
    return None


async def _request(request: Request) -> object:
    return request


async def _project(request: Request) -> object:
    return project_call(request, request.path_params["project"])


def _path_parameter(name: str) -> Argument:
    async def value(request: Request) -> object:
        return request.path_params[name]

    return value
