"""Waiting for what comes true soon, but not at once."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 20


def eventually(holds: Callable[[], bool]) -> None:
    """Return as soon as it holds; fails when it does not within 20 s."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.01)
