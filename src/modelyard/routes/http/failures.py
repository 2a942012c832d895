"""Every way in which a request can fail, turned into an answer in the shape of the API that was asked, in one place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DatabaseError, DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import InternalError as DatabaseInternalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match

from modelyard.blobs.store import BlobMissing, StoreFull, StoreUnavailable
from modelyard.departures import CLIENT_CLOSED_REQUEST, ClientGone
from modelyard.errors import (
    BASIC_CHALLENGE,
    ApiError,
    InsufficientStorage,
    InternalError,
    MethodNotAllowed,
    NotFound,
    ParameterError,
    Unauthorized,
    Unavailable,
    UnknownRoute,
)
from modelyard.registry.dialects import is_beyond_limits, is_damaged, is_out_of_space, is_too_long
from modelyard.routes.http.browsing import refusal_page
from modelyard.routes.http.routing import Route
from modelyard.wire.browsers import is_browser
from modelyard.wire.refusals import shaped

log = structlog.get_logger()

OUTAGES = (OperationalError, DatabaseInternalError, InterfaceError, PoolTimeout)
DATABASE_ADVICE = "check that the database can be reached, its disk space and its locks"
STORE_ADVICE = "check the disk and the folder's permissions"
MAX_SENTENCE = 2_000  # characters


def install(app: FastAPI) -> None:
    """Register a handler for every kind of failure."""
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def respond(request: Request, error: Exception) -> Response:
    """The response for a failure of one of the EXPECTED kinds."""
    handler = next(handler for kind, handler in HANDLERS.items() if isinstance(error, kind))
    return await handler(request, error)


def answer(request: Request, error: ApiError) -> Response:
    """The response for a refusal."""
    routed = not isinstance(error, (UnknownRoute, MethodNotAllowed))
    body, told = shaped(request.scope["path"], error.status, _bounded(error.body), routed=routed)
    headers = {**error.headers, **told}
    if (page := refusal_page(request.scope)) is not None:
        return page(request, error.status, body, headers)
    if request.headers.get("expect", "").lower() == "100-continue":
        # The client still holds its body back; on a kept connection it would have to send it (RFC 9110 section 10.1.1).
        headers["Connection"] = "close"
    response = JSONResponse(body, error.status, headers)
    if error.status == Unauthorized.status and not is_browser(request.headers):
        # In a header of its own, as wget reads the first word of each; the first, as urllib's handler of Digest, which
        # Ansible has, takes offence at Bearer there.
        response.raw_headers.insert(0, (b"www-authenticate", BASIC_CHALLENGE.encode()))
    return response


def _bounded(body: Mapping[str, object]) -> dict[str, object]:
    """A refusal that repeats no more of what was sent than somebody reads."""
    return {
        key: f"{value[:MAX_SENTENCE]}…" if isinstance(value, str) and len(value) > MAX_SENTENCE else value
        for key, value in body.items()
    }


async def _api_error(request: Request, error: Exception) -> Response:
    return answer(request, error if isinstance(error, ApiError) else InternalError())


async def _routing(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return answer(
        request, MethodNotAllowed(_allowed_methods(request)) if status == MethodNotAllowed.status else UnknownRoute()
    )


async def _validation(request: Request, error: Exception) -> Response:
    details = error.errors() if isinstance(error, RequestValidationError) else []
    return answer(request, ParameterError(", ".join(f"{detail['loc'][-1]} is invalid" for detail in details)))


async def _database(request: Request, error: Exception) -> Response:
    if isinstance(error, DBAPIError) and is_too_long(error):
        return await _unstorable(request, error)
    if isinstance(error, DBAPIError) and is_beyond_limits(error):
        return answer(request, ParameterError("The request asks for more than the database can look for at a time"))
    if isinstance(error, DBAPIError) and is_damaged(error):
        advice = "stop the server, and restore the database from a backup"
        log.critical("database damaged", error=str(error).splitlines()[0], advice=advice)
        return answer(request, InternalError())
    if not isinstance(error, OUTAGES):
        raise error  # a statement of ours is wrong
    log.error("database failure", error=str(error).splitlines()[0], advice=DATABASE_ADVICE)
    full = isinstance(error, DBAPIError) and is_out_of_space(error)
    return answer(request, InsufficientStorage() if full else Unavailable())


async def _unstorable(request: Request, _error: Exception) -> Response:
    """PostgreSQL keeps no text with a NUL in it, nor one too long for its index."""
    return answer(request, ParameterError("A value cannot be stored"))


async def _store_full(request: Request, error: Exception) -> Response:
    log.error("blob store full", error=str(error), advice="free space, or run modelyard gc")
    return answer(request, InsufficientStorage())


async def _store_unavailable(request: Request, error: Exception) -> Response:
    log.error("blob store unavailable", error=str(error), advice=STORE_ADVICE)
    return answer(request, Unavailable())


async def _blob_missing(request: Request, _error: Exception) -> Response:
    return answer(request, NotFound())


async def _disconnected(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)  # nobody is there to read it, but the log


def _allowed_methods(request: Request) -> str:
    """All methods that the path knows; Starlette names only those of the first route that it tried.

    Pages are asked for what no other route knows.
    """
    state = request.app.state
    # In the order in which they are asked: a page of a project may have the path of what comes before.
    lists = (state.routes, state.later.routes, state.oauth.routes, state.pages.routes if state.pages else ())
    methods = next((found for routes in lists if (found := _methods(request, routes))), set())
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _methods(request: Request, routes: Iterable[BaseRoute]) -> set[str]:
    methods: set[str] = set()
    for route in routes:
        if route.matches({**request.scope, "method": "GET"})[0] is not Match.NONE and not _is_special(route):
            methods |= getattr(route, "methods", None) or set()
    return methods


def _is_special(route: BaseRoute) -> bool:
    return isinstance(route, Route) and route.traits.special


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    ApiError: _api_error,
    HTTPException: _routing,
    RequestValidationError: _validation,
    DataError: _unstorable,
    **dict.fromkeys((*OUTAGES, DatabaseError), _database),
    StoreFull: _store_full,
    StoreUnavailable: _store_unavailable,
    BlobMissing: _blob_missing,
    ClientDisconnect: _disconnected,
    ClientGone: _disconnected,
}
EXPECTED = tuple(HANDLERS)
