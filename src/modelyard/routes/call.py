"""One API call: who presents which credential, and the single thread hop that answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from modelyard.access.identity import Identity, require_scope
from modelyard.access.tokens import read_credential
from modelyard.errors import Unauthorized
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.services.authentication import authenticate

T = TypeVar("T")

Work = Callable[[Registry, Identity], T]


@dataclass(frozen=True, slots=True)
class Call:
    """Runs a service for the caller. Anonymous callers are refused unless a route asks for `read_public`."""

    database: Database
    credential: str | None

    async def read(self, work: Work[T]) -> T:
        """What `work` reads for a signed-in caller."""
        return await self.database.read_long(lambda registry: work(registry, self._signed_in(registry, False)))

    async def read_public(self, work: Work[T]) -> T:
        """What `work` reads for anybody; it must ask the policy what an anonymous caller sees."""
        return await self.database.read_long(lambda registry: work(registry, authenticate(registry, self.credential)))

    async def write(self, work: Work[T], *, any_scope: bool = False) -> T:
        """What `work` changes for a signed-in caller, in one transaction; the token must be one that may write."""
        return await self.database.write(lambda registry: work(registry, self._signed_in(registry, not any_scope)))

    def _signed_in(self, registry: Registry, writing: bool) -> Identity:
        caller = authenticate(registry, self.credential)
        if caller.anonymous:
            raise Unauthorized
        require_scope(caller, writing=writing)
        return caller


async def _call(request: Request) -> Call:
    return Call(request.app.state.database, read_credential(request.scope["headers"]))


ApiCall = Annotated[Call, Depends(_call)]
