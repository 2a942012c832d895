"""Uploads in parts that come in any order, several at once, as MLflow's clients send them.

Each part is a blob of its own until all are there; they are read in their order, and become one, which `joining` has
begun before. A part's URL carries the right to send that part alone, for as long as the token holds that the upload was
begun with.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from modelyard import departures
from modelyard.access.policy import Action
from modelyard.blobs.resumable import Checkpoint
from modelyard.blobs.store import BlobStore, Buffer
from modelyard.clock import DAY, now
from modelyard.errors import BadRequest, Unauthorized, Unavailable
from modelyard.registry.engine import Database
from modelyard.registry.files.resumable import FINISHED, OPEN
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Upload
from modelyard.services.files.ingest import Expectations, Ingest
from modelyard.services.files.locating import Address, FileRequest, Located, find
from modelyard.services.files.recording import Arrival, Content
from modelyard.services.files.transfers import Transfers
from modelyard.services.files.uploads import Permit
from modelyard.services.people.authentication import authenticate
from modelyard.services.resuming.claims import UploadNotFound
from modelyard.services.resuming.finishing import Whole
from modelyard.services.resuming.joined import Part
from modelyard.services.resuming.joining import Joining
from modelyard.services.resuming.owning import forget, leads_to, own
from modelyard.services.resuming.resumable_uploads import ResumableUploads
from modelyard.services.resuming.sessions import Terms, address_of
from modelyard.services.upkeep.collecting import remove_unreferenced

T = TypeVar("T")

log = structlog.get_logger()

MAX_PARTS = 10_000
JOIN_SECONDS = 50.0  # for which a request waits for the parts to become one; a client waits for 120, a proxy for 60
NOTHING_EXPECTED = Expectations({}, {}, None)


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload whose parts may be sent, each with a signature of its own, in the order of their numbers."""

    uid: str
    signatures: Sequence[str]


@dataclass(frozen=True, slots=True)
class AwaitedPart:
    """A part that may be sent, beside `others`, the bytes of all other parts that are there."""

    uid: str
    number: int
    permit: Permit
    others: int

    def hold(self, size: int) -> None:
        """Raise FileTooLarge or OverQuota where so many bytes are too many."""
        self.permit.hold(self.others + size)


class PartUploads:
    """Takes parts in, and makes files of them."""

    def __init__(self, database: Database, files: Transfers, uploads: ResumableUploads) -> None:
        self._database = database
        self._files = files
        self._store: BlobStore = files.store
        self._uploads = uploads
        self._ahead = Joining(database, uploads.store, uploads.claims, uploads.beginning.bounds.seconds)
        self._joining: dict[int, asyncio.Task[None]] = {}
        self._removing: set[asyncio.Task[None]] = set()

    async def begin(self, request: FileRequest, count: int) -> Begun:
        """A new upload of so many parts. Raises as `Beginning.begin`."""
        upload = await self._uploads.beginning.begin_parts(request, count)
        secret = bytes.fromhex(str(Terms.decoded(upload.terms).secret))
        return Begun(upload.uid, [_signature(secret, number) for number in range(1, count + 1)])

    async def admit(self, uid: str, number: int, signature: str, credential: str | None) -> AwaitedPart:
        """What may be sent to the URL of a part; `credential`: a token that came beside it, which must be valid.

        Raises UploadNotFound, also for another signature, and what refuses a token.
        """

        def work(registry: Registry) -> tuple[Upload, Located, int]:
            authenticate(registry, credential)
            upload, terms = _with_parts(registry, uid)
            right = _signature(bytes.fromhex(str(terms.secret)), number)
            signed = hmac.compare_digest(signature.encode(), right.encode())
            if not signed or not 1 <= number <= (terms.parts or 0):
                raise UploadNotFound
            others = registry.resumable.size_beside(upload.id, number)
            return upload, find(registry, FileRequest(terms.holder, address_of(upload))), others

        upload, located, others = await self._database.read_file(work)
        caller = located.judge(Action.WRITE)
        room = await self._files.quota.room(located, but=upload.id)
        return AwaitedPart(uid, number, Permit(located, caller, self._files.max_file_size, room), others)

    async def receive(
        self, part: AwaitedPart, pieces: AsyncIterator[Buffer], declared: int | None, expected: Expectations
    ) -> str:
        """Keep a part, in place of one of its number; the answer is its SHA-256, and it is durable then.

        Raises UploadNotFound, FileTooLarge, OverQuota, and DigestMismatch where it is not what is expected.
        """
        part.hold(declared or 0)

        def record(registry: Registry, content: Content) -> tuple[Upload, Content]:
            current, _terms = _with_parts(registry, part.uid)
            expires_at = self._uploads.beginning.expires_at()
            registry.resumable.keep_part(current.id, part.number, content.size, content.sha256, expires_at)
            return current, content

        self._files.in_flight("up", 1)
        try:
            ingest = Ingest(self._store, self._files.io, expected, part.hold)
            upload, content = await self._files.recorder.keep_bytes(ingest, pieces, record)
        finally:
            self._files.in_flight("up", -1)
        self._ahead.came(upload, part.others + content.size)
        return content.sha256

    async def complete(self, credential: str | None, uid: str, address: Address, told: Mapping[int, str]) -> None:
        """Make a file of the parts, by number with the SHA-256 that each was answered with. May be repeated.

        Raises UploadNotFound, BadRequest for a part that is not there, Unavailable where it takes long and is to be
        asked again, and as `Recorder.keep`.
        """
        upload, located = await self._own(credential, uid, address)
        parts = await self._database.read_file(lambda registry: _told_parts(registry, uid, told))
        if parts is None:
            return
        located.judge(Action.WRITE)
        task = self._joining.get(upload.id)
        if task is None:
            task = self._joining[upload.id] = asyncio.create_task(self._join(upload, located, parts))
            task.add_done_callback(lambda done: self._joined(done, upload.id))
        done, _ = await asyncio.wait({task}, timeout=JOIN_SECONDS)
        if not done:
            raise Unavailable("The parts are being put together")
        task.result()

    async def abort(self, credential: str | None, uid: str, address: Address) -> None:
        """Forget an upload and its parts; one that has become a file stays. Raises UploadNotFound."""
        upload, located = await self._own(credential, uid, address)
        if credential is None or upload.state != OPEN:
            return

        def work(registry: Registry) -> list[Part]:
            parts = _parts(registry, upload)
            forget(registry, authenticate(registry, credential), uid, located.location.project)
            return parts

        await self._ahead.pause(upload.id)
        await self._remove(upload, await self._database.write(work))

    async def stop(self) -> None:
        """Join nothing more before all parts of an upload are there; what is joined is recorded for another process."""
        await self._ahead.stop()
        if self._removing:
            await asyncio.wait(self._removing)

    async def _own(self, credential: str | None, uid: str, address: Address) -> tuple[Upload, Located]:
        if credential is None:
            raise Unauthorized

        def work(registry: Registry) -> tuple[Upload, Located]:
            upload = own(registry, authenticate(registry, credential), uid)
            terms = Terms.decoded(upload.terms)
            located = find(registry, FileRequest.by(credential, address_of(upload)))
            if terms.parts is None or not leads_to(located, address):
                raise UploadNotFound
            return upload, located

        return await self._database.read_file(work)

    async def _join(self, upload: Upload, located: Located, parts: Sequence[Part]) -> None:
        departures.begin(None)  # it goes on when the client asks again
        permit = Permit(located, located.judge(Action.WRITE), self._files.max_file_size, None)
        await self._ahead.pause(upload.id)
        if not (self._uploads.store.locks and await self._joined_ahead(upload, permit, parts)):
            await self._joined_now(upload, permit, parts)
        task = asyncio.create_task(self._remove(upload, parts))  # for which nobody has to wait
        self._removing.add(task)
        task.add_done_callback(self._removed)

    async def _joined_ahead(self, upload: Upload, permit: Permit, parts: Sequence[Part]) -> bool:
        """Make a file of what has been joined, and the rest; False where nothing has been."""
        async with self._uploads.claims.claimed(upload) as claim:
            if (joined := await self._ahead.joined(claim, parts, permit.hold)) is None:
                return False
            writer, sha256 = joined
            try:
                whole = Whole(claim.upload, Checkpoint(upload.uid, writer.size), sha256)
                await self._uploads.finisher.finish(whole, writer, permit.located.request)
            finally:
                await asyncio.shield(self._run(writer.close))
        return True

    async def _joined_now(self, upload: Upload, permit: Permit, parts: Sequence[Part]) -> None:
        ingest = Ingest(self._store, self._files.io, NOTHING_EXPECTED, permit.hold)
        try:
            sha256 = await ingest.receive(self._ahead.content(parts))
            content = Content(sha256, ingest.size, ingest.publish_again)
            arrival = Arrival(permit.located.request, content, lambda _current: None, None)

            def ended(registry: Registry) -> None:
                registry.resumable.end(upload.id, FINISHED, now() + DAY)

            await self._files.recorder.keep(arrival, ended)
        finally:
            await ingest.close()

    async def _remove(self, upload: Upload, parts: Sequence[Part]) -> None:
        """Remove the bytes of parts that nothing else has; what cannot be removed is left to `gc`."""
        await self._ahead.discard(upload)
        for sha256 in {part.sha256 for part in parts}:
            await self._run(partial(remove_unreferenced, self._database, self._store, sha256))

    def _joined(self, task: asyncio.Task[None], upload_id: int) -> None:
        self._joining.pop(upload_id, None)
        if not task.cancelled():
            task.exception()  # which is nobody's where all have stopped waiting

    def _removed(self, task: asyncio.Task[None]) -> None:
        self._removing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("parts are left to gc", error=str(error).partition("\n")[0])

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._files.io, work)


def _with_parts(registry: Registry, uid: str) -> tuple[Upload, Terms]:
    upload = registry.resumable.by_uid(uid, now())
    if upload is None or upload.state != OPEN:
        raise UploadNotFound
    terms = Terms.decoded(upload.terms)
    if terms.parts is None:
        raise UploadNotFound
    return upload, terms


def _parts(registry: Registry, upload: Upload) -> list[Part]:
    return [Part(*row) for row in registry.resumable.parts(upload.id)]


def _told_parts(registry: Registry, uid: str, told: Mapping[int, str]) -> list[Part] | None:
    """All parts, if they are those that the client tells of; None where they are a file by now.

    Raises BadRequest, and UploadNotFound.
    """
    upload = registry.resumable.by_uid(uid, now())
    if upload is None:
        raise UploadNotFound
    if upload.state == FINISHED:
        return None
    count, parts = Terms.decoded(upload.terms).parts or 0, _parts(registry, upload)
    there = {part.number: part.sha256 for part in parts}
    for number in range(1, count + 1):
        if number not in there or number not in told:
            raise BadRequest(f"Part {number} is missing")
        if there[number] != told[number]:
            raise BadRequest(f"Part {number} is another than the one that is told")
    if told.keys() - there.keys():
        raise BadRequest(f"There are {count} parts")
    return parts


def _signature(secret: bytes, number: int) -> str:
    return hmac.digest(secret, str(number).encode(), "sha256").hex()
