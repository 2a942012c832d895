"""GitLab's three probes. No token is needed: orchestrators have none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol, cast

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from typing_extensions import TypedDict

from modelyard.routes.http.answers import JSONAnswer
from modelyard.routes.http.counted import PROBE_WAIT, counted
from modelyard.routes.http.failures import DATABASE_ADVICE, STORE_ADVICE
from modelyard.routes.http.routing import SHAPE, Route, Traits
from modelyard.terms.paths import HEALTH, LIVENESS, READINESS

log = structlog.get_logger()

router = APIRouter(tags=["operations"], dependencies=[counted(PROBE_WAIT)], route_class=Route)

ADVICE = {"database": DATABASE_ADVICE, "blob_store": STORE_ADVICE}
REMEMBERED_SECONDS = 5


class Status(TypedDict):
    """Whether all is well: `ok`, or `failed`."""

    status: str


class Checks(Status):
    """What every check says."""

    database_check: list[Status]
    blob_store_check: list[Status]


class Stopping(Status):
    """What is said from the moment of a stop on."""

    shutdown_check: list[Status]


Faults = Mapping[str, str | None]  # by check; None: it passes


class Probed(Protocol):
    """What tells whether it can be used."""

    def probe(self) -> None:
        """Raises whatever keeps it from being used. Blocks."""


class Readiness:
    """What the process depends on, and whether that answers.

    A look writes to the blob store, and anybody may ask for one: all who ask while it is taken, or within
    REMEMBERED_SECONDS after it, get the same answer.
    """

    def __init__(self, checks: Mapping[str, Probed]) -> None:
        self._checks = checks
        self._failed: set[str] = set()
        self._look: asyncio.Task[Faults] | None = None
        self._looked_at = 0.0

    async def faults(self) -> Faults:
        """What keeps each check from passing, in one line; the log tells it once, until that check passes again."""
        if self._look is None or (self._look.done() and time.monotonic() >= self._looked_at + REMEMBERED_SECONDS):
            self._look = asyncio.create_task(self._take())
        return await asyncio.shield(self._look)  # others wait for it, too

    async def _take(self) -> Faults:
        faults = {name: await asyncio.to_thread(_fault, probed) for name, probed in self._checks.items()}
        for name, fault in faults.items():
            self._tell(name, fault)
        self._looked_at = time.monotonic()
        return faults

    def _tell(self, name: str, fault: str | None) -> None:
        if fault and name not in self._failed:
            self._failed.add(name)
            log.error("not ready", check=name, error=fault, advice=ADVICE[name])
        elif not fault and name in self._failed:
            self._failed.remove(name)
            log.info("ready again", check=name)


@router.get(HEALTH, summary="The process answers", response_class=PlainTextResponse)
@Traits(probe=True)
async def health() -> PlainTextResponse:
    """Plain text, as GitLab's."""
    return PlainTextResponse("modelyard OK")


@router.get(LIVENESS, summary="The process need not be restarted")
@Traits(probe=True)
async def liveness() -> Status:
    """Says nothing of what the process depends on: restarting would not mend that."""
    return {"status": "ok"}


@router.get(
    READINESS,
    summary="Database and blob store can be used",
    responses={200: {SHAPE: Checks}, 503: {"description": "One of them fails.", SHAPE: Checks | Stopping}},
)
@Traits(probe=True)
async def readiness(request: Request) -> JSONAnswer[Checks] | JSONAnswer[Stopping]:
    """200 when both answer, else 503; the body says which one failed, and the log why.

    503 from the moment of a stop on, too. See `Readiness` for how old the answer may be.
    """
    if getattr(request.state, "stopping", False):
        stopping: Stopping = {"status": "failed", "shutdown_check": [{"status": "failed"}]}
        return JSONAnswer(stopping, 503)
    faults = await request.app.state.readiness.faults()
    ready = not any(faults.values())
    body = {"status": "ok" if ready else "failed"} | {
        f"{name}_check": [{"status": "failed" if fault else "ok"}] for name, fault in faults.items()
    }
    return JSONAnswer(cast("Checks", body), 200 if ready else 503)


def _fault(probed: Probed) -> str | None:
    """What keeps a probe from passing, in one line; whatever it is, there are no requests to be had."""
    try:
        probed.probe()
    except Exception as error:
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return None
