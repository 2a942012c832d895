"""Writes down now and then when tokens were last used and packages last downloaded; no request waits for that."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError

from modelyard.clock import Milliseconds
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.usage import Moments

log = structlog.get_logger()

PAUSE: Milliseconds = 600_000  # between two writes for one token or package, as in GitLab
ROUND_SECONDS = 60


class UsageWriter:
    """The one task of a process that writes what its requests have used."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Write from now on, every minute what is due."""
        self._task = asyncio.create_task(self._keep_writing())

    async def stop(self) -> None:
        """Write everything that is left."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.write(0)

    async def write(self, pause: Milliseconds) -> None:
        """Write every last use that is at least `pause` later than the one that was written before it.

        What another process has written within that time stands. While the database is away, nothing is forgotten.
        """
        usage = self._database.usage
        tokens, packages = usage.tokens.due(pause), usage.packages.due(pause)
        if not tokens and not packages:
            return
        try:
            await self._database.write(lambda registry: _touch(registry, tokens, packages, pause))
        except SQLAlchemyError as error:
            log.warning("last uses are not written yet", error=str(error).partition("\n")[0])
            return
        usage.tokens.settle(tokens, PAUSE)
        usage.packages.settle(packages, PAUSE)

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            await self.write(PAUSE)


def _touch(registry: Registry, tokens: Moments, packages: Moments, pause: Milliseconds) -> None:
    registry.tokens.touch(tokens, pause)
    registry.packages.touch(packages, pause)
