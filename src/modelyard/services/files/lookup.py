"""Looking files up: what was found lately is found again without asking, for as long as nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from modelyard.access.identity import ANONYMOUS
from modelyard.access.policy import sees
from modelyard.clock import now
from modelyard.registry.engine import Database
from modelyard.registry.files.locations import Location
from modelyard.registry.repository import Registry
from modelyard.services.files.locating import FileRequest, Located, find
from modelyard.services.files.recent import MAX_LOCATIONS, RecentInGeneration, once_a_turn

T = TypeVar("T")


class Lookup:
    """Finds where requests lead. It judges nobody: whoever takes what was found does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent = RecentInGeneration[Located](MAX_LOCATIONS, once_a_turn(database.generation))

    def recent(self, request: FileRequest) -> tuple[Located | None, int | None]:
        """What was found lately and still holds, and the generation of the database in which it would be looked up."""
        located, generation = self._recent.get(request)
        if located is not None and (ends_at := located.location.role_ends_at) is not None and ends_at <= now():
            return None, generation
        return located, generation

    async def find(self, request: FileRequest) -> Located:
        """What lies there."""
        located, generation = self.recent(request)
        if located is None:
            located = await self._database.read_file(lambda registry: find(registry, request))
            self._remember(located, generation)
        return located

    async def find_and(
        self, request: FileRequest, generation: int | None, work: Callable[[Located], T], unwanted: Callable[[T], None]
    ) -> tuple[Located, T]:
        """What lies there now, and what `work` makes of it in the very hop to a thread that found it.

        `generation` is the one that `recent` told. What `work` makes when nobody waits any more goes to `unwanted`.
        """

        def both(registry: Registry) -> tuple[Located, T]:
            located = find(registry, request)
            return located, work(located)

        found = await self._database.read_file(both, lambda made: unwanted(made[1]))
        self._remember(found[0], generation)
        return found

    def _remember(self, located: Located, generation: int | None) -> None:
        # What strangers make up, or may not see, would drive out the rest.
        if located.location.token is not None or (located.request.holder is None and _is_public(located.location)):
            self._recent.put(located.request, located, generation)


def _is_public(location: Location) -> bool:
    return location.file is not None and location.project is not None and sees(ANONYMOUS, location.project)
