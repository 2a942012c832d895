"""Looking files up: what was found lately is found again without asking, for as long as nothing has changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from modelyard.access.identity import ANONYMOUS
from modelyard.access.policy import sees
from modelyard.clock import now
from modelyard.registry.engine import Database
from modelyard.registry.files.locations import Location, StoredFile
from modelyard.registry.repository import Registry
from modelyard.services.files.recent import MAX_LOCATIONS, RecentInGeneration, once_a_turn


class Asked(Hashable, Protocol):
    """What a request asks for."""

    @property
    def holder(self) -> str | None:
        """The digest of the credential that came with it; None for none."""


class Found(Protocol):
    """What lies where a request leads."""

    @property
    def location(self) -> Location:
        """What the registry has there."""

    def readable(self) -> StoredFile:
        """The file, if the caller may read it; else it raises the refusal that is due."""


T = TypeVar("T")
R = TypeVar("R", bound=Asked)
L = TypeVar("L", bound=Found)


class Lookup(Generic[R, L]):
    """Finds where requests lead. It judges nobody: whoever takes what was found does."""

    def __init__(self, database: Database, find: Callable[[Registry, R], L]) -> None:
        self._database = database
        self._find = find
        self._recent = RecentInGeneration[L](MAX_LOCATIONS, once_a_turn(database.generation))

    def recent(self, request: R) -> tuple[L | None, int | None]:
        """What was found lately and still holds, and the generation of the database in which it would be looked up."""
        located, generation = self._recent.get(request)
        if located is not None and (ends_at := located.location.role_ends_at) is not None and ends_at <= now():
            return None, generation
        return located, generation

    async def find(self, request: R) -> L:
        """What lies there."""
        located, generation = self.recent(request)
        if located is None:
            located = await self._database.read_file(lambda registry: self._find(registry, request))
            self._remember(request, located, generation)
        return located

    async def find_and(
        self, request: R, generation: int | None, work: Callable[[L], T], unwanted: Callable[[T], None]
    ) -> tuple[L, T]:
        """What lies there now, and what `work` makes of it in the very hop to a thread that found it.

        `generation` is the one that `recent` told. What `work` makes when nobody waits any more goes to `unwanted`.
        """

        def both(registry: Registry) -> tuple[L, T]:
            located = self._find(registry, request)
            return located, work(located)

        found = await self._database.read_file(both, lambda made: unwanted(made[1]))
        self._remember(request, found[0], generation)
        return found

    def _remember(self, request: R, located: L, generation: int | None) -> None:
        # What strangers make up, or may not see, would drive out the rest.
        if located.location.token is not None or (request.holder is None and _is_public(located.location)):
            self._recent.put(request, located, generation)


def _is_public(location: Location) -> bool:
    return location.file is not None and location.project is not None and sees(ANONYMOUS, location.project)
