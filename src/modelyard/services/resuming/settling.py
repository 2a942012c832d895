"""The end of an upload that has all of its bytes: it becomes a file once, however many wait for that."""

from __future__ import annotations

import asyncio

from modelyard import departures
from modelyard.errors import Locked
from modelyard.registry.files.resumable import OPEN
from modelyard.registry.tables import Upload
from modelyard.services.files.locating import FileRequest
from modelyard.services.resuming.claims import Claims
from modelyard.services.resuming.finishing import Finisher
from modelyard.services.resuming.sessions import Session, session_of

SETTLE_SECONDS = 10.0  # for which a request waits for the end of what another has left; a proxy cuts it off after 60


class Settling:
    """Makes files of what nobody is at any more."""

    def __init__(self, claims: Claims, finisher: Finisher) -> None:
        self._claims = claims
        self._finisher = finisher
        self._running: dict[int, asyncio.Task[Upload]] = {}

    async def settled(self, request: FileRequest, upload: Upload) -> Session:
        """The upload once it is a file, where all of its bytes are there. Raises Locked where that takes long."""
        if upload.state == OPEN and is_complete(upload):
            task = self._running.get(upload.id)
            if task is None:
                task = asyncio.create_task(self._settle(request, upload))
                self._running[upload.id] = task
                task.add_done_callback(lambda done: self._end(done, upload.id))
            done, _ = await asyncio.wait({task}, timeout=SETTLE_SECONDS)
            if not done:
                raise Locked("The upload is complete, and being verified", retry_after=5)
            upload = task.result()
        return session_of(upload)

    def _end(self, task: asyncio.Task[Upload], upload_id: int) -> None:
        self._running.pop(upload_id, None)
        if not task.cancelled():
            task.exception()  # which is nobody's where all have stopped waiting

    async def _settle(self, request: FileRequest, upload: Upload) -> Upload:
        departures.begin(None)  # others wait for it as well
        async with self._claims.claimed(upload) as claim:
            if claim.upload.state == OPEN:
                await self._finisher.finish_again(claim, request)
            return claim.upload


def is_complete(upload: Upload) -> bool:
    """Whether all bytes are there."""
    return upload.length is not None and upload.size == upload.length
