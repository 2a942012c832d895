"""Routes of pages, a `Subject` for each file of them. They are Starlette's own: nothing of a page is in OpenAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from modelyard.errors import ApiError

Endpoint = Callable[[Request], Awaitable[Response]]
AGAIN = "form_again"  # in a scope: what shows the form again that was sent, with why it is refused


class _ProjectPath(Convertor[str]):
    """`namespace/name` of any depth, as `{project:project}`: what is no part of a name ends it, as `-` does."""

    # Not `a/b.git/…`, which Git and its LFS ask for: no name ends so.
    regex = r"(?!api/)(?!(?:[^/]+/)*[^/]+\.git/)[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _RepositoryPart(Convertor[str]):
    """A half of what Hugging Face's clients call a repository, as `{owner:part}`, still encoded."""

    regex = "(?!api/)[A-Za-z0-9_][A-Za-z0-9_.-]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _LongId(_RepositoryPart):
    """`namespace__project/model`, as `{project:long_id}`."""

    regex = "[A-Za-z0-9_][A-Za-z0-9_.-]*__[A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*"


class _Number(Convertor[int]):
    """An id, as `{version:number}`, that a column can hold."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("project", _ProjectPath())
register_url_convertor("number", _Number())
register_url_convertor("part", _RepositoryPart())
register_url_convertor("long_id", _LongId())


class PageRoute(Route):
    """A route of a page, by whose path its requests are counted."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["route_template"] = self.path
        await super().handle(scope, receive, send)


class Subject:
    """The routes of one subject. A path is still encoded; of its parts, only numbers are converted."""

    def __init__(self) -> None:
        self.routes: list[PageRoute] = []

    def get(self, path: str) -> Callable[[Endpoint], Endpoint]:
        """What shows a page, and changes nothing."""
        return self._at(path, "GET")

    def post(self, path: str) -> Callable[[Endpoint], Endpoint]:
        """What a form is sent to; one that is refused is shown again by what the scope has as `AGAIN`."""
        add = self._at(path, "POST")

        def guard(endpoint: Endpoint) -> Endpoint:
            add(_shown_again(endpoint))
            return endpoint

        return guard

    def _at(self, path: str, method: str) -> Callable[[Endpoint], Endpoint]:
        def add(endpoint: Endpoint) -> Endpoint:
            self.routes.append(PageRoute(path, endpoint, methods=[method], include_in_schema=False))
            return endpoint

        return add


def _shown_again(endpoint: Endpoint) -> Endpoint:
    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ApiError as error:
            again: Callable[[ApiError], Awaitable[Response]] | None = request.scope.get(AGAIN)
            if again is None:
                raise
            return await again(error)

    return answer
