"""Uploads that go on: begun, asked for, continued and cancelled. All protocols come here."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import Executor
from dataclasses import dataclass

from modelyard import departures
from modelyard.access.identity import Identity, require_scope
from modelyard.access.policy import Action, ProjectFacts
from modelyard.blobs.resumable import Checkpoint, ResumableBlobStore
from modelyard.clock import Milliseconds, now
from modelyard.errors import BodyTooLarge, Locked, TooManyRequests, Unauthorized
from modelyard.registry.engine import Database
from modelyard.registry.files.resumable import FAILED, FINISHED, OPEN
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Upload
from modelyard.services.files.locating import Address, FileRequest, Located, find
from modelyard.services.files.transfers import Transfers
from modelyard.services.files.uploads import Permit
from modelyard.services.files.uses import InFlight
from modelyard.services.people.authentication import authenticate
from modelyard.services.resuming.appending import Append, Recording
from modelyard.services.resuming.claims import Claim, Claims, UploadNotFound
from modelyard.services.resuming.finishing import Conditions, Finisher, Whole
from modelyard.services.resuming.sessions import (
    InconsistentLength,
    Piece,
    Session,
    Terms,
    UploadLost,
    WrongOffset,
    request_of,
    session_of,
)
from modelyard.services.resuming.writers import Writers

SETTLE_SECONDS = 10.0  # for which a request waits for the end of what another has left; a proxy cuts it off after 60
OPEN_RETRY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an unfinished upload may be."""

    seconds: int  # for which one that nobody goes on with is kept
    of_token: int  # that one token may have begun, at a time; 0: any number


class ResumableUploads:
    """Each method takes the credential of whoever asks, and knows uploads that another user has begun not at all."""

    def __init__(
        self,
        database: Database,
        store: ResumableBlobStore,
        files: Transfers,
        in_flight: InFlight,
        conditions: Conditions,
        bounds: Bounds,
    ) -> None:
        self.bounds = bounds
        self.max_file_size = files.uploads.max_file_size
        self._database = database
        self.store = store
        self._files = files
        self._executor: Executor = files.io
        self._in_flight = in_flight
        self._conditions = conditions
        self._writers = Writers(database)
        self.claims = Claims(database, store, files.io, self._writers)
        self.finisher = Finisher(database, store, files.recorder, self.claims, conditions)
        self._settling: dict[int, asyncio.Task[Upload]] = {}

    async def begin(self, request: FileRequest, length: int | None, terms: Terms) -> Session:
        """A new upload to an address, of `length` bytes, None: it will be told. An empty file is there at once.

        Raises as `Uploads.authorize` does, what the conditions raise, and TooManyRequests.
        """
        permit = await self._files.uploads.authorize(request, length)
        self._conditions(terms.conditions)(permit.current)
        upload = await self._database.write(lambda registry: self._add(registry, permit, length, terms))
        if length == 0:
            return await self._settled(request, upload)
        return session_of(upload)

    async def begin_parts(self, request: FileRequest, count: int) -> Upload:
        """A new upload that comes in so many parts; see `parts`. Raises as `begin`."""
        permit = await self._files.uploads.authorize(request, None)
        terms = Terms(parts=count, secret=secrets.token_hex(32), holder=request.holder)
        return await self._database.write(lambda registry: self._add(registry, permit, None, terms))

    def expires_at(self) -> Milliseconds:
        """When an upload expires that nobody goes on with from now on."""
        return now() + self.bounds.seconds * 1000

    async def where(self, credential: str | None, uid: str) -> Session:
        """An upload as it is, now that nobody writes it any more; what has all of its bytes becomes a file first.

        Raises UploadNotFound, UploadLost, Locked, and as `append` does where it is complete.
        """
        read_at = self._database.generation()
        upload, located = await self._found(credential, uid)
        if upload.state == OPEN:
            async with self.claims.claimed(upload, writes=False, read_at=read_at) as claim:
                upload = claim.upload
        return await self._settled(located.request, upload)

    async def append(self, credential: str | None, uid: str, piece: Piece, address: Address | None = None) -> Session:
        """Go on with an upload, which must be one to `address` if that is given. What the answer tells is durable, and
        where that is all of it, the file is there.

        Raises UploadNotFound, UploadLost, WrongOffset, Locked, BodyTooLarge, InconsistentLength, as `Append.run` and
        `Recorder.keep` do, and Superseded where another goes on instead.
        """
        read_at = self._database.generation()
        upload, located = await self._found(credential, uid)
        if address is not None and not leads_to(located, address):
            raise UploadNotFound
        if upload.state != OPEN:
            return self._repeated(upload, piece)
        permit = await self._permit(upload, located)
        async with self.claims.claimed(upload, read_at=read_at) as claim:
            upload = claim.upload
            if upload.state != OPEN:
                return self._repeated(upload, piece)
            length = _length(upload, piece, permit)
            if not _is_complete(upload):
                self._in_flight("up", 1)
                try:
                    upload = await self._write(claim, piece, length, permit)
                finally:
                    self._in_flight("up", -1)
        return await self._settled(located.request, upload)

    async def cancel(self, credential: str | None, uid: str) -> None:
        """Forget an upload, and whoever writes it; a file that it has become stays. Raises UploadNotFound, Locked."""
        if credential is None:
            raise Unauthorized
        upload = await self._database.read_file(lambda registry: own(registry, authenticate(registry, credential), uid))
        checkpoint = Checkpoint(upload.uid)
        if upload.state == OPEN:
            async with self.claims.claimed(upload, writes=False) as claim:
                checkpoint = claim.checkpoint
                await self._database.write(lambda registry: self._remove(registry, credential, uid))
            await self.claims.run(lambda: self.store.discard(checkpoint))
        else:
            await self._database.write(lambda registry: self._remove(registry, credential, uid))

    def _add(self, registry: Registry, permit: Permit, length: int | None, terms: Terms) -> Upload:
        caller, located = permit.caller, permit.located
        project, address = located.location.project, located.request.address
        if project is None or caller.user_id is None or caller.token_id is None:
            raise Unauthorized
        registry.act(caller, project)
        registry.resumable.prune(now())
        registry.locks.token(caller.token_id)
        most = self.bounds.of_token
        if most and registry.resumable.open_of_token(caller.token_id, now()) >= most:
            raise TooManyRequests(f"{most} uploads of this token are not finished", OPEN_RETRY_SECONDS)
        room = self._files.quota.room_now(registry, located)
        if room is not None:
            room.hold(length or 0)
        upload = registry.resumable.add(
            Upload(
                uid=secrets.token_hex(16),
                project_id=project.id,
                owner_kind=address.owner.kind.value,
                owner_key=str(address.owner.key),
                name=address.name,
                user_id=caller.user_id,
                token_id=caller.token_id,
                state=OPEN,
                length=length,
                size=0,
                terms=terms.encoded(),
                expires_at=self.expires_at(),
            )
        )
        registry.audit.note("upload_started", upload, {"add": "upload", "size": length})
        return upload

    async def _found(self, credential: str | None, uid: str) -> tuple[Upload, Located]:
        """The caller's upload, and where it leads; he may write there now. Raises UploadNotFound, UploadLost."""
        if credential is None:
            raise Unauthorized

        def work(registry: Registry) -> Upload:
            upload = registry.resumable.by_uid(uid, now())
            return upload or own(registry, authenticate(registry, credential), uid)

        upload = await self._database.read_file(work, single=True)
        located = await self._files.lookup.find(request_of(upload, credential))
        require_own(located.identify(), upload)
        if Terms.decoded(upload.terms).parts is not None:
            raise UploadNotFound
        located.judge(Action.WRITE)
        self._files.uses.note(located)
        if upload.state == FAILED:
            raise UploadLost
        return upload, located

    async def _permit(self, upload: Upload, located: Located) -> Permit:
        room = await self._files.quota.room(located, but=upload.id)
        return Permit(located, located.judge(Action.WRITE), self.max_file_size, room)

    def _repeated(self, upload: Upload, piece: Piece) -> Session:
        """The answer to bytes for an upload that has ended: as before, where they are none and it is finished."""
        if upload.state != FINISHED:
            raise UploadLost
        if piece.offset != upload.size:
            raise WrongOffset(upload.size)
        if piece.declared != 0:
            raise BodyTooLarge(f"The file has {upload.size} bytes")
        return session_of(upload)

    async def _write(self, claim: Claim, piece: Piece, length: int | None, permit: Permit) -> Upload:
        writer = await self.finisher.resumed(claim)
        try:
            with self._writers.writing(claim.upload.id, claim.upload.generation) as turn:
                seconds, locked = self.bounds.seconds, self.store.locks
                recording = Recording(self._database, claim.upload, length, seconds, locked=locked)
                append = Append(
                    writer,
                    self._executor,
                    piece,
                    length,
                    permit.hold,
                    recording.record,
                    self.store.save_seconds,
                    turn,
                )
                sha256 = await append.run()
            if sha256 is not None:
                whole = Whole(claim.upload, recording.checkpoint, sha256)
                await self.finisher.finish(whole, writer, permit.located.request)
            return claim.upload
        finally:
            await asyncio.shield(self.claims.run(writer.close))

    async def _settled(self, request: FileRequest, upload: Upload) -> Session:
        """The upload once it is a file, where all of its bytes are there. Raises Locked where that takes long."""
        if upload.state == OPEN and _is_complete(upload):
            task = self._settling.get(upload.id)
            if task is None:
                task = asyncio.create_task(self._settle(request, upload))
                self._settling[upload.id] = task
                task.add_done_callback(lambda done: self._settled_by(done, upload.id))
            done, _ = await asyncio.wait({task}, timeout=SETTLE_SECONDS)
            if not done:
                raise Locked("The upload is complete, and being verified", retry_after=5)
            upload = task.result()
        return session_of(upload)

    def _settled_by(self, task: asyncio.Task[Upload], upload_id: int) -> None:
        self._settling.pop(upload_id, None)
        if not task.cancelled():
            task.exception()  # which is nobody's where all have stopped waiting

    async def _settle(self, request: FileRequest, upload: Upload) -> Upload:
        departures.begin(None)  # others wait for it as well
        async with self.claims.claimed(upload) as claim:
            if claim.upload.state == OPEN:
                await self.finisher.finish_again(claim, request)
            return claim.upload

    def _remove(self, registry: Registry, credential: str, uid: str) -> None:
        caller = authenticate(registry, credential)
        located = find(registry, request_of(own(registry, caller, uid), credential))
        forget(registry, caller, uid, located.location.project)


def forget(registry: Registry, caller: Identity, uid: str, project: ProjectFacts | None) -> None:
    """Remove the caller's upload of that uid, as the audit trail is told. Raises UploadNotFound."""
    upload = own(registry, caller, uid)
    registry.act(caller, project)
    registry.audit.note("upload_cancelled", upload, {"remove": "upload", "size": upload.size})
    registry.resumable.remove(upload.id)


def own(registry: Registry, caller: Identity, uid: str) -> Upload:
    """The caller's upload of that uid. Raises InsufficientScope, and UploadNotFound."""
    require_scope(caller, writing=True)
    upload = registry.resumable.by_uid(uid, now())
    if upload is None:
        raise UploadNotFound
    require_own(caller, upload)
    return upload


def require_own(caller: Identity, upload: Upload) -> None:
    """Raise InsufficientScope, and UploadNotFound for an upload that is not the caller's."""
    require_scope(caller, writing=True)
    if upload.user_id != caller.user_id or caller.job_project_id not in {None, upload.project_id}:
        raise UploadNotFound


def leads_to(located: Located, address: Address) -> bool:
    """Whether an upload is one to an address, whose project may be named by its path."""
    project, own = located.location.project, located.request.address
    names = {project.id, project.path.lower()} if project is not None else set()
    asked = address.project.lower() if isinstance(address.project, str) else address.project
    return asked in names and (own.owner, own.name) == (address.owner, address.name)


def _is_complete(upload: Upload) -> bool:
    return upload.length is not None and upload.size == upload.length


def _length(upload: Upload, piece: Piece, permit: Permit) -> int | None:
    """The length of the file, as far as it is known before the bytes have come.

    Raises WrongOffset, InconsistentLength, BodyTooLarge, FileTooLarge and OverQuota.
    """
    if piece.offset != upload.size:
        raise WrongOffset(upload.size)
    length = upload.length if piece.length is None else piece.length
    if upload.length not in {None, length}:
        raise InconsistentLength(f"The file has {upload.length} bytes, as was told before")
    end = piece.offset + (piece.declared or 0)
    if length is not None:
        if length < upload.size:
            raise InconsistentLength(f"The upload has {upload.size} bytes already")
        if end > length:
            raise BodyTooLarge(f"The file has {length} bytes")
    permit.hold(length if length is not None else end)
    if piece.ends and piece.declared is not None and length not in {None, end}:
        raise InconsistentLength(f"The file has {length} bytes, and ends after {end}")
    return length
