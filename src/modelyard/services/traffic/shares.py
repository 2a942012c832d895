"""How much of the server one client takes while others ask: who has had his share waits a little for what costs more.

One event loop answers whoever asks next, so whoever asks again at once is answered most. Only two kinds of work count:
what was refused, since no client has a reason to repeat that a hundred times a second, and searches, each of which
keeps a thread at work. Nobody waits while he is alone, and no transfer ever does.

All figures are this process's own and are lost with it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

BURST_SECONDS = 2.0  # of work that a client has for nothing
CONTENDED_SECONDS = 1.0  # for which one client's request beside another's tells that there are others
MAX_WAIT_SECONDS = 5.0
MAX_CLIENTS = 10_000  # whose work is remembered; of more, those are forgotten who worked longest ago

# What a refusal costs: an upper bound of what was measured, some 0.7 ms and 2 ms for each MiB of body.
REFUSAL_SECONDS = 0.005
REFUSED_BYTE_SECONDS = 0.004 / (1 << 20)


class Shares:
    """Seconds of work by client; a client is any text that tells it from others."""

    def __init__(self, share: float) -> None:
        self.share = share  # seconds of work for a second of time; 0: as many as one likes
        self._owed: OrderedDict[str, tuple[float, float]] = OrderedDict()  # seconds of work, and when they were that
        self._asking: dict[str, int] = {}
        self._contended_until = 0.0
        self._first: str | None = None  # of those whose requests begin in this turn of the event loop

    def enter(self, client: str) -> None:
        """A request of the client begins."""
        asking = self._asking
        asking[client] = asking.get(client, 0) + 1
        if self._first is None:
            self._first = client
            asyncio.get_running_loop().call_soon(self._end_turn)
        if len(asking) > 1 or self._first != client:
            self._contended_until = time.monotonic() + CONTENDED_SECONDS

    def leave(self, client: str) -> None:
        """A request of the client has ended."""
        left = self._asking[client] - 1
        if left:
            self._asking[client] = left
        else:
            del self._asking[client]

    def _end_turn(self) -> None:
        self._first = None

    def took(self, client: str, seconds: float) -> None:
        """Work was done for the client."""
        now = time.monotonic()
        self._owed[client] = (self._owes(client, now) + seconds, now)
        self._owed.move_to_end(client)
        if len(self._owed) > MAX_CLIENTS:
            self._owed.popitem(last=False)

    def wait(self, client: str) -> float:
        """Seconds after which more work is due to the client; 0 where nobody else asks."""
        now = time.monotonic()
        if not self.share or (now >= self._contended_until and len(self._asking) <= 1):
            return 0.0
        beyond = self._owes(client, now) - BURST_SECONDS
        return min(beyond / self.share, MAX_WAIT_SECONDS) if beyond > 0 else 0.0

    def _owes(self, client: str, now: float) -> float:
        seconds, at = self._owed.get(client, (0.0, now))
        return max(0.0, seconds - (now - at) * self.share)


def refusal_seconds(body_bytes: int) -> float:
    """What it costs to refuse a request with such a body."""
    return REFUSAL_SECONDS + body_bytes * REFUSED_BYTE_SECONDS
