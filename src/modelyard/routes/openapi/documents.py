"""The OpenAPI document, and a page that shows it."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter, FastAPI, Request, Response

from modelyard.routes.http.counted import counted
from modelyard.routes.http.routing import Route
from modelyard.terms.paths import OPENAPI

router = APIRouter(include_in_schema=False, dependencies=[counted()], route_class=Route)


@router.get(OPENAPI)
async def openapi(request: Request) -> Response:
    """The document. It takes 0.4 s to make, so that is done once, and beside the event loop."""
    state = request.app.state
    if state.openapi is None:
        state.openapi = asyncio.create_task(asyncio.to_thread(_document, request.app))
    return Response(await asyncio.shield(state.openapi), media_type="application/json")


def _document(app: FastAPI) -> bytes:
    document, settings = app.openapi(), app.state.settings
    # Paths are below that of the external URL; without it, below the address that the document was had from.
    below = urlsplit(settings.external_url or "").path
    return orjson.dumps(document | {"servers": [{"url": below}]} if below else document)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Swagger UI, of which nothing is read before somebody asks for it."""
    from modelyard.routes.pages.api_documents import show  # noqa: PLC0415 - see above

    return await asyncio.to_thread(show, request, OPENAPI)


@router.get("/docs/{digest}/{name:path}")
async def asset(request: Request) -> Response:
    """What it loads; the same as below `/-/assets`, which is not there without pages."""
    from modelyard.routes.pages.assets import serve  # noqa: PLC0415 - see above

    return await serve(request)
