"""Uploads that go on: begun, asked for, continued and cancelled. All protocols come here."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from modelyard.access.policy import Action
from modelyard.blobs.resumable import Checkpoint, ResumableBlobStore
from modelyard.clock import now
from modelyard.errors import BodyTooLarge, Unauthorized
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
from modelyard.services.resuming.beginning import Beginning
from modelyard.services.resuming.claims import Claim, Claims, UploadNotFound
from modelyard.services.resuming.finishing import Conditions, Finisher, Whole
from modelyard.services.resuming.owning import forget, leads_to, own, require_own
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
from modelyard.services.resuming.settling import Settling, is_complete
from modelyard.services.resuming.writers import Writers


class ResumableUploads:
    """Each method takes the credential of whoever asks, and knows uploads that another user has begun not at all."""

    def __init__(
        self,
        database: Database,
        store: ResumableBlobStore,
        files: Transfers,
        in_flight: InFlight,
        conditions: Conditions,
        beginning: Beginning,
    ) -> None:
        self.max_file_size = files.uploads.max_file_size
        self._database = database
        self.store = store
        self._files = files
        self._executor: Executor = files.io
        self._in_flight = in_flight
        self.beginning = beginning
        self._writers = Writers(database)
        self.claims = Claims(database, store, files.io, self._writers)
        self.finisher = Finisher(database, store, files.recorder, self.claims, conditions)
        self._settling = Settling(self.claims, self.finisher)

    async def begin(self, request: FileRequest, length: int | None, terms: Terms) -> Session:
        """A new upload to an address, of `length` bytes, None: it will be told. An empty file is there at once.

        Raises as `Uploads.authorize` does, what the conditions raise, and TooManyRequests.
        """
        upload = await self.beginning.begin(request, length, terms)
        if length == 0:
            return await self._settling.settled(request, upload)
        return session_of(upload)

    async def where(self, credential: str | None, uid: str) -> Session:
        """An upload as it is, now that nobody writes it any more; what has all of its bytes becomes a file first.

        Raises UploadNotFound, UploadLost, Locked, and as `append` does where it is complete.
        """
        read_at = self._database.generation()
        upload, located = await self._found(credential, uid)
        if upload.state == OPEN:
            async with self.claims.claimed(upload, writes=False, read_at=read_at) as claim:
                upload = claim.upload
        return await self._settling.settled(located.request, upload)

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
            if not is_complete(upload):
                self._in_flight("up", 1)
                try:
                    upload = await self._write(claim, piece, length, permit)
                finally:
                    self._in_flight("up", -1)
        return await self._settling.settled(located.request, upload)

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
                seconds, locked = self.beginning.bounds.seconds, self.store.locks
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

    def _remove(self, registry: Registry, credential: str, uid: str) -> None:
        caller = authenticate(registry, credential)
        located = find(registry, request_of(own(registry, caller, uid), credential))
        forget(registry, caller, uid, located.location.project)


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
