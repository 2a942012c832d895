"""Prometheus's numbers, for whoever has their token, or from this machine where there is none."""

from __future__ import annotations

import asyncio
import hmac
from ipaddress import ip_address
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from sqlalchemy.exc import SQLAlchemyError

from modelyard.access.tokens import read_credential
from modelyard.clock import now
from modelyard.errors import Unauthorized, UnknownRoute
from modelyard.metrics import LastRun, Metrics
from modelyard.routes.http.counted import counted
from modelyard.routes.http.refusals import Message, ParameterError
from modelyard.routes.http.routing import SHAPE, Route
from modelyard.settings import Settings
from modelyard.terms.paths import METRICS

router = APIRouter(tags=["operations"], dependencies=[counted()], route_class=Route)

# Whatever says that somebody else passed the request on, and so that the address at hand may not be the client's.
FORWARDING = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"via"}
)


REFUSED: dict[int | str, dict[str, Any]] = {
    401: {"description": "A token is set, and this is none, or another.", SHAPE: Message},
    404: {"description": "No token is set, and the request comes from elsewhere.", SHAPE: ParameterError},
}


@router.get(METRICS, summary="Numbers for Prometheus", response_class=PlainTextResponse, responses=REFUSED)
async def metrics(request: Request) -> Response:
    """With `MODELYARD_METRICS_TOKEN` as bearer token; where none is set, from the same machine alone."""
    _require_access(request, request.app.state.settings)
    counted: Metrics = request.app.state.metrics
    upkeep, unfinished = await _read(request)
    accept = request.headers.get("accept", "")
    text, media_type = await asyncio.to_thread(counted.exposition, accept, upkeep, unfinished)
    return Response(text, headers={"Content-Type": media_type})


async def _read(request: Request) -> tuple[list[LastRun], tuple[int, int] | None]:
    """The last runs of upkeep, and the uploads that go on; neither while the database is away, which others tell."""
    try:
        runs, unfinished = await request.app.state.database.read(
            lambda registry: (registry.upkeep.all(), registry.resumable.unfinished(now()))
        )
    except SQLAlchemyError:
        return [], None
    told = [LastRun(r.task, r.started_at, r.finished_at, r.found, r.size, r.completed_at) for r in runs]
    return told, (unfinished.uploads, unfinished.size)


def _require_access(request: Request, settings: Settings) -> None:
    """Refuse strangers: 401 where a token is set, else 404."""
    if settings.metrics_token is None:
        if not _is_local(request) or settings.external_url is not None:
            raise UnknownRoute
        return
    presented = read_credential(request.scope["headers"]) or ""
    if not hmac.compare_digest(presented.encode(), settings.metrics_token.encode()):
        raise Unauthorized


def _is_local(request: Request) -> bool:
    """Whether the request comes from this machine and through nobody's hands."""
    client = request.scope.get("client")
    if client is None or not FORWARDING.isdisjoint(name for name, _value in request.scope["headers"]):
        return False
    try:
        return ip_address(client[0]).is_loopback
    except ValueError:
        return False
