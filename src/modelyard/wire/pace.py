"""How large the blocks of a transfer are: large where bytes come and go fast, small where they would lie waiting.

Each block costs a thread hop, and several are held for each transfer. 64 KiB a hop take five times the processor of
1 MiB; but with 1 MiB for each, 200 slow readers took 600 MiB and halved the speed of a fast one beside them. At this
pace they take 45 MiB and nothing of its speed, and 32 transfers at once 32 MiB instead of 105.
"""

from __future__ import annotations

from typing import ClassVar
from weakref import WeakSet

LEAST_BYTES, MOST_BYTES = 64 * 1024, 1024 * 1024
SHARED_BYTES = 16 * 1024 * 1024  # for all blocks of the transfers that get more than the least
QUICK_SECONDS = 0.1  # in which the other side has to move a block; a busy server alone should not take that long
MOVED_BEFORE = 16  # blocks of a size must have been moved quickly before that size: a socket swallows the first bytes


class Pace:
    """The pace of one transfer that holds `held` blocks at a time, each of `most_bytes` at most.

    `earned`: what another has earned with the same other side, which goes on with it.
    """

    _fast: ClassVar[WeakSet[Pace]] = WeakSet()

    def __init__(self, most_bytes: int = MOST_BYTES, held: int = 2, earned: int = 0) -> None:
        self._most = most_bytes
        self._held = held
        self.earned = earned  # bytes moved quickly, and half of them lost with each block that was not
        if earned:
            self._count()

    @property
    def block_bytes(self) -> int:
        """The size of the next block."""
        earned, share = self.earned // MOVED_BEFORE, SHARED_BYTES // max(1, len(self._fast)) // self._held
        return max(LEAST_BYTES, min(self._most, earned, share) // LEAST_BYTES * LEAST_BYTES)

    def moved(self, size: int, seconds: float) -> None:
        """Count a block that the other side took or gave within that time."""
        quick = seconds < QUICK_SECONDS
        self.earned = min(self.earned + size, MOVED_BEFORE * self._most) if quick else self.earned // 2
        self._count()

    def _count(self) -> None:
        if self.earned >= 2 * MOVED_BEFORE * LEAST_BYTES:
            self._fast.add(self)
        else:
            self._fast.discard(self)
