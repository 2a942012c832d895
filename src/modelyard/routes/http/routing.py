"""Routes that tell all of their operation where they are declared.

The shape of the answer is the return type of the endpoint, parameters are its arguments, and what the face has in
common, as its refusals, is its `Face`. What is left is told by `Traits`, and by FastAPI's own `responses`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from http import HTTPStatus
from operator import or_
from types import UnionType
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin

from fastapi import Response
from fastapi.dependencies.utils import get_typed_return_annotation
from fastapi.routing import APIRoute
from starlette.convertors import Convertor
from starlette.routing import Match, compile_path
from starlette.types import Receive, Scope, Send

from modelyard.routes.http.answers import Answer, Listing
from modelyard.routes.http.params import FromRequest, Parameters

E = TypeVar("E", bound=Callable[..., Any])

JSON_OBJECT = dict[str, object]
SHAPE = "x-shape"  # in `responses`: the type of what that answer has in it, as `model` is, but only made when asked for


@dataclass(frozen=True, slots=True)
class Face:
    """What the operations of one API have in common."""

    name: str  # which begins the names of its refusals in OpenAPI's components
    refusal: Any  # the type of what is in one
    direct: bool = False  # whether all of them go the direct way
    headers: tuple[str, ...] = ()  # texts that refusals may have, beyond those of all faces
    plain: bool = True  # whether the gate refuses in plain text
    strangers: bool = False  # whether it serves who has no credential yet, and looks at none
    invalid: int = HTTPStatus.BAD_REQUEST  # the status of what is against the rules


@dataclass(frozen=True, slots=True)
class Traits:
    """What an operation is beyond what its signature says; it decorates the endpoint, below the route."""

    public: bool = False  # it serves who has no credential, too
    probe: bool = False  # it is answered however often anybody asks
    direct: bool = False  # it is called past FastAPI; see `front.direct`
    query: type[Parameters] | None = None  # which the endpoint reads by itself
    body: type[Parameters] | UnionType | None = None  # so does it this, or one of these
    makes: tuple[str, str] | None = None  # the parameter that names what the answer tells of, and where in it that is
    special: bool = False  # its method is for requests with a header of their own, and told of to no others
    follows: str | None = None  # the parameter of what was made: its answer leads here

    def __call__(self, endpoint: E) -> E:
        """Know the endpoint by these."""
        _TRAITS[endpoint] = self
        return endpoint


_TRAITS: dict[Callable[..., Any], Traits] = {}
_NONE = Traits()


class Route(APIRoute):
    """A route whose endpoint returns an `Answer` of a shape, or a dict that has the shape; else its class says it all.

    FastAPI is told of no shape: it would build a validator for it at each start, and run that on each answer. What it
    makes of the endpoint's signature, a tenth of a start for all routes, it makes when the first request comes.
    """

    face: ClassVar[Face | None] = None

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:  # noqa: ANN401 - FastAPI's own
        self.traits = _TRAITS.get(endpoint, _NONE)
        self.path, self.endpoint = path, endpoint
        self._head = path.partition("{")[0]
        self.methods = set(options["methods"])
        self.include_in_schema = options["include_in_schema"]
        self._options: dict[str, Any] | None = options

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is this route's. Most are told from it by how their path begins, without its pattern."""
        return super().matches(scope) if scope["path"].startswith(self._head) else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of this path."""
        self.complete()
        await super().handle(scope, receive, send)

    def complete(self) -> None:
        """Have FastAPI read the signature, unless it has done so."""
        if (options := self._options) is None:
            return
        declared = options["responses"] or {}
        self.returned = _kinds(get_typed_return_annotation(self.endpoint))
        self.shapes = {status: told[SHAPE] for status, told in declared.items() if SHAPE in told}
        responses = {status: {k: told[k] for k in told if k != SHAPE} for status, told in declared.items()}
        responds = all(issubclass(kind, Response) for kind, _shape in self.returned)
        own = {"responses": responses, "response_description": "Done."}
        model = None if responds else JSON_OBJECT
        super().__init__(self.path, self.endpoint, **options | own | {"response_model": model})
        self._options = None  # at the end: two threads may both be here, and make the same

    @cached_property
    def path_regex(self) -> re.Pattern[str]:  # type: ignore[override] # FastAPI sets it, too
        """The pattern of its path, compiled when the first path begins as it does."""
        return compile_path(self.path)[0]

    @cached_property
    def path_format(self) -> str:  # type: ignore[override] # FastAPI sets it, too
        """Its path without how its parameters are read."""
        return compile_path(self.path)[1]

    @cached_property
    def param_convertors(self) -> dict[str, Convertor[Any]]:  # type: ignore[override] # FastAPI sets it, too
        """How they are."""
        return compile_path(self.path)[2]

    @property
    def direct(self) -> bool:
        """Whether the operation is called past FastAPI."""
        return self.traits.direct or (self.face is not None and self.face.direct)

    @property
    def main_status(self) -> int:
        """The status of the answer."""
        return self.status_code or HTTPStatus.OK

    def all_shapes(self) -> dict[int | str, Any]:
        """By status, the types of what the answers in JSON have in them."""
        shapes = [_listed(shape) if issubclass(kind, Listing) else shape for kind, shape in self.returned]
        return ({self.main_status: reduce(or_, shapes)} if all(shapes) else {}) | self.shapes

    @property
    def listing(self) -> bool:
        """Whether the answer is a page with GitLab's paging headers."""
        return any(issubclass(kind, Listing) for kind, _shape in self.returned)

    @property
    def reads(self) -> type[Parameters] | None:
        """The parameters that the endpoint takes, in its query where its method is GET, else in its body."""
        defaults = (parameter.default for parameter in inspect.signature(self.endpoint).parameters.values())
        return next((default.model for default in defaults if isinstance(default, FromRequest)), None)


def _kinds(returned: Any) -> list[tuple[type, Any]]:  # noqa: ANN401 - an annotation is anything
    """The classes that may be returned, and the shape that each carries."""
    if get_origin(returned) in {Union, UnionType}:
        return [kind for each in get_args(returned) for kind in _kinds(each)]
    kind = get_origin(returned) or returned
    if issubclass(kind, Response):
        return [(kind, *get_args(returned))] if issubclass(kind, Answer) else [(kind, None)]
    return [(kind, returned)]


def _listed(shape: Any) -> Any:  # noqa: ANN401 - as above
    return list[shape]
