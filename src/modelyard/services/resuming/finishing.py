"""The end of an upload: all of its bytes are durable, and become a file once everything is asked again.

Whatever happens in between, it can be done again: by whoever asks next for the upload, in any process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from modelyard.blobs.resumable import Checkpoint, ResumableBlobStore, ResumableWriter
from modelyard.blobs.store import BlobMissing
from modelyard.clock import DAY, now
from modelyard.registry.engine import Database
from modelyard.registry.files.resumable import FAILED, FINISHED
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Upload
from modelyard.services.files.ingest import DigestMismatch
from modelyard.services.files.locating import FileRequest
from modelyard.services.files.recording import Arrival, Content, Precondition, Recorder
from modelyard.services.resuming.claims import Claim, Claims
from modelyard.services.resuming.sessions import Terms, UploadLost

REMEMBERED = DAY  # for which an upload that has ended can be asked for

Conditions = Callable[[Mapping[str, str]], Precondition]  # of headers such as If-Match


@dataclass(frozen=True, slots=True)
class Whole:
    """An upload of which every byte is durable."""

    upload: Upload
    checkpoint: Checkpoint
    sha256: str


class Finisher:
    """Makes files of uploads."""

    def __init__(
        self, database: Database, store: ResumableBlobStore, recorder: Recorder, claims: Claims, conditions: Conditions
    ) -> None:
        self._database = database
        self._store = store
        self._recorder = recorder
        self._claims = claims
        self._conditions = conditions

    async def finish(self, whole: Whole, writer: ResumableWriter, request: FileRequest) -> None:
        """Make a file of it, for whoever asks.

        Raises DigestMismatch, after which it is lost, and as `Recorder.keep` does, after which it can be done again.
        """
        expected = Terms.decoded(whole.upload.terms).sha256
        if expected not in {None, whole.sha256}:
            await self._claims.run(writer.close)
            await self.lose(whole.upload, whole.checkpoint)
            raise DigestMismatch
        await self._claims.run(writer.publish)
        await self._keep(whole, writer.publish, request)

    async def finish_again(self, claim: Claim, request: FileRequest) -> None:
        """Make a file of what nobody has come to finish. Raises as `finish` does, and UploadLost."""
        upload, checkpoint = claim.upload, claim.checkpoint
        sha256: str | None = upload.sha256
        if sha256 is not None and await self._recovered(checkpoint, sha256):
            again = partial(self._store.recover, checkpoint, sha256)
            await self._keep(Whole(upload, checkpoint, sha256), again, request)
            return
        writer = await self.resumed(claim)
        try:
            digest = await self._claims.run(writer.digest)
            await self.finish(Whole(upload, checkpoint, digest), writer, request)
        finally:
            await self._claims.run(writer.close)

    async def resumed(self, claim: Claim) -> ResumableWriter:
        """A writer that goes on. Raises UploadLost where the bytes are gone."""
        try:
            return await self._claims.run(lambda: claim.hold.resume(claim.checkpoint))
        except BlobMissing as error:
            await self.lose(claim.upload, claim.checkpoint)
            raise UploadLost from error

    async def lose(self, upload: Upload, checkpoint: Checkpoint) -> None:
        """Say that it can never be finished, and let its bytes go."""
        await self._database.write(lambda registry: registry.resumable.end(upload.id, FAILED, now() + REMEMBERED))
        await self._claims.run(lambda: self._store.discard(checkpoint))

    async def _recovered(self, checkpoint: Checkpoint, sha256: str) -> bool:
        try:
            await self._claims.run(lambda: self._store.recover(checkpoint, sha256))
        except BlobMissing:
            return False
        return True

    async def _keep(self, whole: Whole, publish_again: Callable[[], None], request: FileRequest) -> None:
        upload, terms = whole.upload, Terms.decoded(whole.upload.terms)
        content = Content(whole.sha256, whole.checkpoint.size, publish_again)
        arrival = Arrival(request, content, self._conditions(terms.conditions), terms.status)

        def ended(registry: Registry) -> None:
            registry.resumable.end(upload.id, FINISHED, now() + REMEMBERED)

        await self._recorder.keep(arrival, ended)
        upload.state, upload.sha256 = FINISHED, whole.sha256
