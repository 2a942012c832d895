"""Routes that know the shape of their answer: it is the return type of their endpoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from types import UnionType
from typing import Any, Union, get_args, get_origin

from fastapi import Response
from fastapi.dependencies.utils import get_typed_return_annotation
from fastapi.routing import APIRoute

from modelyard.routes.http.answers import Answer, Listing

JSON_OBJECT = dict[str, object]


class Route(APIRoute):
    """A route whose endpoint returns an `Answer` of a shape, or a dict that has the shape; else its class says it all.

    FastAPI is told of no shape: it would build a validator for it at each start, and run that on each answer.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - FastAPI's own
        self.returned = _kinds(get_typed_return_annotation(endpoint))
        responds = all(issubclass(kind, Response) for kind, _shape in self.returned)
        super().__init__(path, endpoint, **options | {"response_model": None if responds else JSON_OBJECT})

    @property
    def shape(self) -> Any:  # noqa: ANN401 - a type, of any kind
        """What the answer has in it; None for what is no JSON, or nothing."""
        shapes = [_listed(shape) if issubclass(kind, Listing) else shape for kind, shape in self.returned]
        return reduce(or_, shapes) if all(shapes) else None


def _kinds(returned: Any) -> list[tuple[type, Any]]:  # noqa: ANN401
    """The classes that may be returned, and the shape that each carries."""
    if get_origin(returned) in {Union, UnionType}:
        return [kind for each in get_args(returned) for kind in _kinds(each)]
    kind = get_origin(returned) or returned
    if issubclass(kind, Response):
        return [(kind, *get_args(returned))] if issubclass(kind, Answer) else [(kind, None)]
    return [(kind, returned)]


def _listed(shape: Any) -> Any:  # noqa: ANN401
    return list[shape]
