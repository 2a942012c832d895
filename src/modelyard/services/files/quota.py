"""The bytes that a project may have: looked at before an upload, while it streams, and where its file is recorded.

What uploads that go on have told to be counts as if it were there, from their beginning on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from modelyard.clock import now
from modelyard.errors import Forbidden
from modelyard.registry.engine import Database
from modelyard.registry.files.locations import Location
from modelyard.registry.repository import Registry
from modelyard.services.files import following
from modelyard.services.files.ingest import FileTooLarge
from modelyard.services.files.locating import Located


class OverQuota(Forbidden):
    """403 for what would exceed a project's limit, as GitLab refuses what exceeds a size limit.

    It is no 507: the server has room, and the client would only be refused again, whereas others retry a 5xx.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"The project's storage limit of {limit} bytes would be exceeded")


def limit_of(own: int | None, default: int) -> int:
    """The bytes that a project may have, 0 for no limit, by its own limit or else the server's."""
    return default if own is None else own


@dataclass(frozen=True, slots=True)
class Room:
    """The most bytes that a file may have for now, in a project with a limit."""

    size: int
    limit: int

    def hold(self, size: int) -> None:
        """Raise OverQuota for more bytes than there is room for."""
        if size > self.size:
            raise OverQuota(self.limit)


def room_for(registry: Registry, project_id: int, limit: int, replaced: int, copies: int, but: int = 0) -> Room:
    """The room for a file that follows one of `replaced` bytes under its name, and is to be there `copies` times more.

    `but`: the upload that it comes by, whose own bytes are not counted.

    The very same bytes again are always welcome, as they add nothing; only at their end are they known to be the same.
    """
    used = registry.storage.used(project_id) + registry.resumable.reserved(project_id, now(), but)
    left = (limit - used) // (1 + copies)
    return Room(max(left, replaced), limit)


@contextmanager
def within(registry: Registry, project_id: int, limit: int) -> Iterator[None]:
    """Undo what is added to the project in the block by raising OverQuota, if it comes to more than the limit.

    Whoever adds to a limited project waits for its turn until the end of the transaction, so that no two can pass
    together. It must be the last lock that is taken.
    """
    if not limit:
        yield
        return
    registry.locks.storage(project_id)
    before = registry.storage.used(project_id)
    yield
    registry.transaction.flush()
    after = registry.storage.used(project_id)
    if after > before and after + registry.resumable.reserved(project_id, now()) > limit:
        raise OverQuota(limit)


def require_room(size: int, most: int, room: Room | None) -> None:
    """Raise FileTooLarge for a file of more bytes than any may have (0: no limit), OverQuota where no room is left."""
    if most and size > most:
        raise FileTooLarge
    if room is not None:
        room.hold(size)


class Quota:
    """What projects may have, where those without a limit of their own have `default` bytes, 0 for no limit."""

    def __init__(self, database: Database, default: int) -> None:
        self._database = database
        self._default = default

    async def room(self, located: Located, but: int = 0) -> Room | None:
        """What the project has left for a file where it was located; None without a limit.

        `but`: the upload that the file comes by.
        """
        if not self._limited(located):
            return None
        return await self._database.read_file(lambda registry: self.room_now(registry, located, but))

    def room_now(self, registry: Registry, located: Located, but: int = 0) -> Room | None:
        """The same in a transaction; in one that writes, nobody else adds to the project from now on."""
        location, address, project = located.location, located.request.address, located.location.project
        if project is None or not (limit := self._limited(located)):
            return None
        registry.locks.storage(project.id)
        replaced = location.file.size if location.file else 0
        copies = following.copies_beside(registry, location, address.owner, address.name)
        return room_for(registry, project.id, limit, replaced, copies, but)

    def _limited(self, located: Located) -> int:
        return limit_of(located.location.storage_limit, self._default) if located.location.project else 0

    def limit(self, registry: Registry, project_id: int) -> int:
        """The bytes that a project may have, 0 for no limit."""
        return limit_of(registry.storage.limit(project_id), self._default)

    def left(self, registry: Registry, project_id: int) -> Room | None:
        """What a project has left beside all that was sent to it and not committed; None without a limit."""
        limit = self.limit(registry, project_id)
        if not limit:
            return None
        pending = registry.uploads.pending_bytes(project_id) + registry.resumable.reserved(project_id, now())
        return Room(max(0, limit - registry.storage.used(project_id) - pending), limit)

    def within(self, registry: Registry, location: Location) -> AbstractContextManager[None]:
        """A block that adds no more than its limit to the project of what was located."""
        if location.project is None:
            return nullcontext()
        return within(registry, location.project.id, limit_of(location.storage_limit, self._default))
