"""Whether the client of the request at hand still waits: known to all that is done for it, in whichever thread."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

CLIENT = "waiting_client"  # the key in a request's scope
CLIENT_CLOSED_REQUEST = 499  # what nginx logs when nobody waits for the answer any more


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Client:
    """Who sent a request, for as long as its connection lasts."""

    __slots__ = ("_told", "gone")

    def __init__(self) -> None:
        self.gone = False
        self._told: list[Callable[[], object]] = []

    def leave(self) -> None:
        """Tell all that is done for the client that it need not be done."""
        self.gone = True
        for tell in tuple(self._told):
            tell()

    def tell(self, tell: Callable[[], object]) -> None:
        """Have `tell` called on the event loop when the client leaves, until `forget`; now if it has left."""
        self._told.append(tell)
        if self.gone:
            tell()

    def forget(self, tell: Callable[[], object]) -> None:
        """Do not have `tell` called any more."""
        self._told.remove(tell)


_current: ContextVar[Client | None] = ContextVar("client", default=None)

begin = _current.set  # for the rest of this task, and of those that it makes
current = _current.get  # None where no request is at hand, or nothing is known of its connection
