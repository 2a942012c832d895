"""GitLab's three probes. No token is needed: orchestrators have none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy.exc import SQLAlchemyError

from modelyard.blobs.store import BlobError

router = APIRouter(prefix="/-", tags=["operations"])


@router.get("/health", summary="The process answers")
async def health() -> Response:
    """Plain text, as GitLab's."""
    return PlainTextResponse("modelyard OK")


@router.get("/liveness", summary="The process need not be restarted")
async def liveness() -> dict[str, str]:
    """Says nothing of what the process depends on: restarting would not mend that."""
    return {"status": "ok"}


@router.get("/readiness", summary="Database and blob store can be used")
async def readiness(request: Request) -> Response:
    """200 when both answer, else 503; the body says which one failed. 503 from the moment of a stop on, too."""
    if getattr(request.state, "stopping", False):
        return JSONResponse({"status": "failed", "shutdown_check": [{"status": "failed"}]}, 503)
    checks = {"database": request.app.state.database.probe, "blob_store": request.app.state.store.probe}
    results = {name: await asyncio.to_thread(_passes, probe) for name, probe in checks.items()}
    ready = all(results.values())
    body = {"status": "ok" if ready else "failed"} | {
        f"{name}_check": [{"status": "ok" if passed else "failed"}] for name, passed in results.items()
    }
    return JSONResponse(body, 200 if ready else 503)


def _passes(probe: Callable[[], None]) -> bool:
    try:
        probe()
    except (SQLAlchemyError, BlobError):
        return False
    return True
