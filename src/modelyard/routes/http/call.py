"""One API call: who presents which credential, and the single thread hop that answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from modelyard.access.identity import Identity, require_scope
from modelyard.access.tokens import read_credential
from modelyard.errors import InsufficientScope, Unauthorized
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.services.people.authentication import authenticate
from modelyard.services.traffic.searching import Searches

T = TypeVar("T")

SUDO = "sudo"  # GitLab's parameter and header that name somebody else, and the scope that a token needs for it

Work = Callable[[Registry, Identity], T]


@dataclass(frozen=True, slots=True)
class Call:
    """Runs a service for the caller. Anonymous callers are refused unless a route asks for `read_public`."""

    database: Database
    searches: Searches
    credential: str | None
    for_another: bool = False  # whether it is to act for somebody else, which no token may

    async def read(self, work: Work[T]) -> T:
        """What `work` reads by its keys for a signed-in caller."""
        return await self.database.read(lambda registry: work(registry, self._signed_in(registry, False)))

    async def read_public(self, work: Work[T]) -> T:
        """What `work` reads by its keys for anybody; it must ask the policy what an anonymous caller sees."""
        return await self.database.read(lambda registry: work(registry, self._caller(registry)))

    async def search(self, work: Work[T]) -> T:
        """What `work` finds among any number of rows for a signed-in caller. Raises TooManyRequests and TooDear."""
        return await self.searches.read(
            self.credential, lambda registry: work(registry, self._signed_in(registry, False))
        )

    async def search_public(self, work: Work[T]) -> T:
        """What `work` finds for anybody, as `search` and `read_public`."""
        return await self.searches.read(self.credential, lambda registry: work(registry, self._caller(registry)))

    async def write(self, work: Work[T], *, any_scope: bool = False) -> T:
        """What `work` changes for a signed-in caller, in one transaction; the token must be one that may write."""
        return await self.database.write(lambda registry: work(registry, self._signed_in(registry, not any_scope)))

    def _signed_in(self, registry: Registry, writing: bool) -> Identity:
        caller = self._caller(registry)
        if caller.anonymous:
            raise Unauthorized
        require_scope(caller, writing=writing)
        return caller

    def _caller(self, registry: Registry) -> Identity:
        caller = authenticate(registry, self.credential)
        if self.for_another:
            # To go on would do in the caller's name what the client believes to be done in another's.
            raise Unauthorized if caller.anonymous else InsufficientScope(SUDO)
        return caller


async def _call(request: Request) -> Call:
    for_another = SUDO in request.headers or (
        SUDO.encode() in request.scope["query_string"] and SUDO in request.query_params
    )
    state = request.app.state
    return Call(state.database, state.searches, read_credential(request.scope["headers"]), for_another)


ApiCall = Annotated[Call, Depends(_call)]
