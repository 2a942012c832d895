"""Looking files up: what was found lately is found again, for as long as nothing has changed that it depends on.

A registry is read far more often than it is written: on one core, GET of 1 KiB is answered three times as often on
SQLite as with a lookup for each, and on PostgreSQL some ten times. A token that is revoked is refused with the very
next request, on every replica: `registry.marks` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from modelyard.access.identity import ANONYMOUS
from modelyard.access.policy import sees
from modelyard.clock import now
from modelyard.registry.engine import Database
from modelyard.registry.files.locations import Location, StoredFile
from modelyard.registry.repository import Registry
from modelyard.services.files.recent import MAX_LOCATIONS, Recent


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
    """Finds where requests lead. It judges nobody: whoever takes what was found does.

    `single`: `find` asks one statement.
    """

    def __init__(self, database: Database, find: Callable[[Registry, R], L], *, single: bool = False) -> None:
        self._database = database
        self._find = find
        self._single = single
        self._recent = Recent[L](MAX_LOCATIONS)

    async def recent(self, request: R) -> L | None:
        """What was found lately, if it still holds."""
        located = self._recent.get(request)
        if located is None:
            return None
        location = located.location
        if location.role_ends_at is not None and location.role_ends_at <= now():
            return None
        return located if await self._database.holds(location.marks) else None

    async def find(self, request: R) -> L:
        """What lies there."""
        located = await self.recent(request)
        if located is None:
            located = await self._database.read_file(
                lambda registry: self._find(registry, request), single=self._single
            )
            self._remember(request, located)
        return located

    async def find_and(self, request: R, work: Callable[[L], T], unwanted: Callable[[T], None]) -> tuple[L, T]:
        """What lies there now, and what `work` makes of it in the very hop to a thread that found it.

        What `work` makes when nobody waits any more goes to `unwanted`.
        """

        def both(registry: Registry) -> tuple[L, T]:
            located = self._find(registry, request)
            return located, work(located)

        found = await self._database.read_file(both, lambda made: unwanted(made[1]), single=self._single)
        self._remember(request, found[0])
        return found

    def _remember(self, request: R, located: L) -> None:
        # What strangers make up, or may not see, would drive out the rest.
        location = located.location
        if location.marks and (location.token is not None or (request.holder is None and _is_public(location))):
            self._recent.put(request, located)
        else:
            self._recent.forget(request)


def _is_public(location: Location) -> bool:
    return location.file is not None and location.project is not None and sees(ANONYMOUS, location.project)
