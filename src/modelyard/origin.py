"""Where the request at hand comes from: known to all that is done for it, in whichever thread."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple


class Origin(NamedTuple):
    """The address of the client and the id of its request; None for what no request asked for."""

    address: str | None = None
    request_id: str | None = None


NOWHERE = Origin()
_current: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)

begin = _current.set  # for the rest of this task, and of the threads that work for it
current = _current.get
