"""How much of the bodies that are read into memory a process holds at a time, whoever sends them.

Files are no concern of it: they pass in pieces. Who sends little waits for nobody as long as there is room. A sender is
a token, by its digest, whether it comes itself or by what was given out for it; or the network of a stranger.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from modelyard.errors import Unavailable

BUDGET_BYTES = 24 * 1024 * 1024
SHARES = 2  # so many senders together may take all of it
PATIENCE_SECONDS = 5.0


class BodyBudget:
    """Bytes that a process has for the bodies of all requests, of which one sender may take his share."""

    def __init__(self, total: int = BUDGET_BYTES) -> None:
        self.total, self.share = total, total // SHARES
        self._free = total
        self._taken: Counter[str] = Counter()
        self._waiting: list[asyncio.Future[None]] = []

    @contextmanager
    def claim(self, sender: str) -> Iterator[Claim]:
        """Room for one body of a sender, which is given back at the end."""
        claim = Claim(self, sender)
        try:
            yield claim
        finally:
            self._give_back(claim)

    def _take(self, claim: Claim, size: int) -> bool:
        if size > self._free or self._taken[claim.sender] + size > self.share:
            return False
        self._free -= size
        self._taken[claim.sender] += size
        claim.size += size
        return True

    def _give_back(self, claim: Claim) -> None:
        self._free += claim.size
        self._taken[claim.sender] -= claim.size
        if not self._taken[claim.sender]:
            del self._taken[claim.sender]
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def _freed(self) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting


class Claim:
    """What one body has of the budget."""

    def __init__(self, budget: BodyBudget, sender: str) -> None:
        self.sender = sender
        self.size = 0
        self._budget = budget

    def has(self, size: int) -> bool:
        """Whether there is room for `size` bytes in all by now."""
        wanted = size - self.size
        return wanted <= 0 or self._budget._take(self, wanted)

    async def grow(self, size: int) -> None:
        """Have room for `size` bytes in all, once others have given back theirs. Raises Unavailable after 5 s."""
        if self.has(size):
            return
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not self.has(size):
                    await self._budget._freed()
        except TimeoutError as error:
            raise Unavailable("Too many large requests at a time") from error
