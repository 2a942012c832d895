"""How fast, and for how long, upkeep may read beside a running server."""

from __future__ import annotations

import time
from collections.abc import Callable

BURST_SECONDS = 1.0


class Pace:
    """A limit of bytes a second, and an end after some seconds; None: no limit."""

    def __init__(
        self,
        max_rate: int | None = None,
        max_seconds: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.spent = 0  # bytes
        self._rate = max_rate
        self._clock = clock
        self._sleep = sleep
        self._due = clock()
        self._end = None if max_seconds is None else self._due + max_seconds

    def spend(self, size: int) -> None:
        """Count bytes that were read, and wait as long as the limit demands."""
        self.spent += size
        if self._rate is None:
            return
        now = self._clock()
        # A store that was slow for a while is not read the faster for it, but for a second's worth.
        self._due = max(self._due, now - BURST_SECONDS) + size / self._rate
        if self._due > now:
            self._sleep(self._due - now)

    def is_over(self) -> bool:
        """Whether the time is up."""
        return self._end is not None and self._clock() >= self._end
