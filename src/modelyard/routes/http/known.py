"""Who asks is looked at before what is asked: strangers learn nothing of parameters, and make nobody read bodies.

What a service does finds out who the caller is by itself, in the transaction in which it acts. This looks only where
the answer is needed earlier: before a body that is large, and before a refusal of parameters.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request

from modelyard.access.tokens import digest_of, read_credential
from modelyard.errors import ApiError, Unauthorized
from modelyard.routes.http.bodies import SMALL_BODY_BYTES
from modelyard.services.files.recent import Recent
from modelyard.services.people.authentication import authenticate
from modelyard.services.traffic.throttling import mark_of

MAX_KNOWN = 10_000
KNOWN_SECONDS = 60.0


class Known:
    """The credentials that were valid within the last minute in this process, by their marks."""

    def __init__(self) -> None:
        self._until = Recent[float](MAX_KNOWN)

    def has(self, mark: str) -> bool:
        """Whether the credential of that mark was valid a minute ago or later. It need not be so any more."""
        return (self._until.get(mark) or 0.0) > time.monotonic()

    def add(self, mark: str) -> None:
        """Remember a credential that is valid now."""
        self._until.put(mark, time.monotonic() + KNOWN_SECONDS)


class Visitor:
    """Whoever sent a request."""

    def __init__(self, request: Request, *, public: bool) -> None:
        self._request = request
        self._public = public
        self._credential = read_credential(request.scope["headers"])
        self._identified = False

    async def introduce(self) -> None:
        """Raise what refuses the caller, before a body is read; a small one is also read of who was known lately.

        No request is so public that strangers' bodies are read for it: what they ask stands in its address.
        """
        if self._credential is None:
            raise Unauthorized
        known: Known = self._request.app.state.known
        mark = mark_of(self._credential.encode())
        self._request.scope["sender"] = digest_of(self._credential)
        length = self._request.headers.get("content-length")
        if length is None or int(length) > SMALL_BODY_BYTES or not known.has(mark):
            await self.identify()
            known.add(mark)

    async def identify(self) -> None:
        """Raise what refuses the caller, if anything does: Unauthorized, TokenRevoked, TokenExpired or Forbidden."""
        credential = self._credential
        if self._identified:
            return
        if credential is not None:
            await self._request.app.state.database.read(lambda registry: authenticate(registry, credential))
        elif not self._public:
            raise Unauthorized
        self._identified = True


@asynccontextmanager
async def known_first(request: Request, *, public: bool = False) -> AsyncIterator[Visitor]:
    """A block whose refusals are only for callers who are known, or for all where the request is `public`."""
    visitor = Visitor(request, public=public)
    try:
        yield visitor
    except ApiError:
        await visitor.identify()
        raise
