"""Uploads that go on, as they begin: permitted, counted, and told to the audit trail."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from modelyard.clock import Milliseconds, now
from modelyard.errors import TooManyRequests, Unauthorized
from modelyard.registry.engine import Database
from modelyard.registry.files.resumable import OPEN
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Upload
from modelyard.services.files.locating import FileRequest
from modelyard.services.files.transfers import Transfers
from modelyard.services.files.uploads import Permit
from modelyard.services.resuming.finishing import Conditions
from modelyard.services.resuming.sessions import Terms

OPEN_RETRY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an unfinished upload may be."""

    seconds: int  # for which one that nobody goes on with is kept
    of_token: int  # that one token may have begun, at a time; 0: any number


class Beginning:
    """Makes uploads."""

    def __init__(self, database: Database, files: Transfers, conditions: Conditions, bounds: Bounds) -> None:
        self.bounds = bounds
        self._database = database
        self._files = files
        self._conditions = conditions

    async def begin(self, request: FileRequest, length: int | None, terms: Terms) -> Upload:
        """A new upload to an address, of `length` bytes, None: it will be told.

        Raises as `Uploads.authorize` does, what the conditions raise, and TooManyRequests.
        """
        permit = await self._files.uploads.authorize(request, length)
        self._conditions(terms.conditions)(permit.current)
        return await self._database.write(lambda registry: self._add(registry, permit, length, terms))

    async def begin_parts(self, request: FileRequest, count: int) -> Upload:
        """A new upload that comes in so many parts; see `parts`. Raises as `begin`."""
        terms = Terms(parts=count, secret=secrets.token_hex(32), holder=request.holder)
        return await self.begin(request, None, terms)

    def expires_at(self) -> Milliseconds:
        """When an upload expires that nobody goes on with from now on."""
        return now() + self.bounds.seconds * 1000

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
