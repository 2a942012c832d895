"""What the runs of upkeep leave for the server to show, and for the next run to go on from."""

from __future__ import annotations

import structlog
from sqlalchemy.exc import SQLAlchemyError

from modelyard.clock import Milliseconds, now
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.tables import UpkeepRun

log = structlog.get_logger()

CHECK, SCRUB, GC = "check", "scrub", "gc"  # a scrub is a check that reads


class Progress:
    """How far a run has come, beginning after the blob at `position` (empty: with the first)."""

    def __init__(self, position: str = "") -> None:
        self.position = position
        self.resumed = bool(position)
        self.size = 0  # bytes that were read, or freed
        self.complete = False


def stopped_at(database: Database, task: str) -> str:
    """The digest at which the last run of a task was stopped by its time; empty where it came to the end."""
    run = database.read_now(lambda registry: registry.upkeep.last(task))
    return run.position if run else ""


def keep(database: Database, task: str, started_at: Milliseconds, found: int, progress: Progress) -> None:
    """Keep the result of a run in place of the one before; without effect, but for a log line, if that cannot be.

    A run that goes on where another was stopped adds to what that one found.
    """
    try:
        database.write_now(lambda registry: _record(registry, task, started_at, found, progress))
    except SQLAlchemyError as error:
        log.warning("the result is not kept", task=task, error=str(error).partition("\n")[0])


def _record(registry: Registry, task: str, started_at: Milliseconds, found: int, progress: Progress) -> None:
    before, finished_at = registry.upkeep.last(task), now()
    run = UpkeepRun(
        task=task,
        started_at=started_at,
        finished_at=finished_at,
        found=found + (before.found if before and progress.resumed else 0),
        size=progress.size,
        position="" if progress.complete else progress.position,
        completed_at=finished_at if progress.complete else before and before.completed_at,
    )
    registry.upkeep.record(run)
