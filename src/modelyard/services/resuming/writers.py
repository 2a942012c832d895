"""Who writes in this process, and has to stop as soon as another goes on with the upload, in whichever process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from modelyard import departures
from modelyard.errors import ApiError
from modelyard.registry.engine import Database
from modelyard.services.resuming.sessions import Superseded

T = TypeVar("T")

log = structlog.get_logger()

LOOK_SECONDS = 0.5  # a newcomer waits for four times as long
DRAIN_SECONDS = 0.2  # for which who is to stop takes what has come already: whoever hung up has sent it for good


class Writer:
    """A request that receives bytes until it is told to stop, which it is only while it waits for some."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.ended = asyncio.Event()
        self._stopping = self._stopped = False
        self._waiting: asyncio.Task[object] | None = None

    def stop(self) -> None:
        """Let the next bytes be none, but for those that are there by now; call it from the event loop's thread."""
        if not self._stopping:
            self._stopping = True
            asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._end)

    def _end(self) -> None:
        self._stopped = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def next(self, source: AsyncIterator[T]) -> T:
        """The next of a source. Raises Superseded when it is told to stop, and what the source does."""
        task = asyncio.current_task()
        if self._stopped or task is None:
            raise Superseded
        self._waiting = task
        try:
            return await anext(source)
        except asyncio.CancelledError:
            if self._stopped and not task.uncancel():
                raise Superseded from None
            raise
        finally:
            self._waiting = None


class Writers:
    """Requests that receive bytes, by the id of their upload."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writing: dict[int, Writer] = {}
        self._watching: asyncio.Task[None] | None = None

    @contextmanager
    def writing(self, upload_id: int, generation: int) -> Iterator[Writer]:
        """A block in which one writes, who is told to stop when another goes on with the upload."""
        self._writing[upload_id] = mine = Writer(generation)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        try:
            yield mine
        finally:
            mine.ended.set()
            if self._writing.get(upload_id) is mine:
                del self._writing[upload_id]

    async def end(self, upload_id: int, seconds: float) -> None:
        """End whoever writes here, and wait so long for what he has received to be recorded."""
        found = self._writing.get(upload_id)
        if found is not None:
            found.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await found.ended.wait()

    async def _watch(self) -> None:
        departures.begin(None)  # it outlives the request that it was begun by
        before: int | None = None
        try:
            while self._writing:
                await asyncio.sleep(LOOK_SECONDS)
                generation = self._database.generation()
                if generation is None or generation != before:
                    before = generation
                    await self._look()
        finally:
            self._watching = None

    async def _look(self) -> None:
        ids = list(self._writing)
        try:
            found = await self._database.read(lambda registry: registry.resumable.generations(ids))
        except (SQLAlchemyError, ApiError) as error:
            log.warning("uploads are not watched", error=str(error).partition("\n")[0])
            return
        for upload_id in ids:
            writer = self._writing.get(upload_id)
            if writer is not None and found.get(upload_id) != writer.generation:
                writer.stop()
