"""GitLab's three probes. No token is needed: orchestrators have none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from modelyard.routes.failures import DATABASE_ADVICE, STORE_ADVICE

log = structlog.get_logger()

router = APIRouter(prefix="/-", tags=["operations"])

ADVICE = {"database": DATABASE_ADVICE, "blob_store": STORE_ADVICE}


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
    """200 when both answer, else 503; the body says which one failed, and the log why, once until it answers again.

    503 from the moment of a stop on, too.
    """
    if getattr(request.state, "stopping", False):
        return JSONResponse({"status": "failed", "shutdown_check": [{"status": "failed"}]}, 503)
    checks = {"database": request.app.state.database.probe, "blob_store": request.app.state.store.probe}
    faults = {name: await asyncio.to_thread(_fault, probe) for name, probe in checks.items()}
    for name, fault in faults.items():
        _tell(request.app.state.not_ready, name, fault)
    ready = not any(faults.values())
    body = {"status": "ok" if ready else "failed"} | {
        f"{name}_check": [{"status": "failed" if fault else "ok"}] for name, fault in faults.items()
    }
    return JSONResponse(body, 200 if ready else 503)


def _fault(probe: Callable[[], None]) -> str | None:
    """What keeps a probe from passing, in one line; whatever it is, there are no requests to be had."""
    try:
        probe()
    except Exception as error:
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return None


def _tell(failed: set[str], name: str, fault: str | None) -> None:
    """Log what has changed since the last look, after which `failed` are the checks that do not pass."""
    if fault and name not in failed:
        failed.add(name)
        log.error("not ready", check=name, error=fault, advice=ADVICE[name])
    elif not fault and name in failed:
        failed.remove(name)
        log.info("ready again", check=name)
