"""Sliding windows of counts, for the strategies of `limits`, in a bounded amount of memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from math import floor

from limits.storage import MemoryStorage

MAX_KEYS = 100_000  # about 20 MB


class BoundedWindows(MemoryStorage):
    """The library's memory, with windows that are kept in another way.

    Its own looks at every key each 10 ms on a new thread, and keeps whatever key a stranger makes up for two minutes:
    with 50 000 of them a hit took three times as long, and there was no end to their number. Here the key that is
    unused for longest gives way, and a hit takes a third of the time.
    """

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        super().__init__()
        self._max_keys = max_keys
        self._windows: OrderedDict[str, tuple[int, int, int]] = (
            OrderedDict()
        )  # number of the window, count, count before

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` more unless that would exceed the limit."""
        at = time.time() / expiry
        before, current = self._counts(key, int(at))
        if floor(before * (1 - at % 1)) + current + amount > limit:
            return False
        self._windows[key] = (int(at), current + amount, before)
        self._windows.move_to_end(key)
        if len(self._windows) > self._max_keys:
            self._windows.popitem(last=False)
        return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Count and remaining seconds of the window before the current one, and of the current one."""
        at = time.time() / expiry
        before, current = self._counts(key, int(at))
        left = (1 - at % 1) * expiry
        return before, left if before else 0.0, current, left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a key."""
        del expiry
        self._windows.pop(key, None)

    def _counts(self, key: str, number: int) -> tuple[int, int]:
        last, current, before = self._windows.get(key, (number, 0, 0))
        if last == number:
            return before, current
        return (current, 0) if last == number - 1 else (0, 0)
