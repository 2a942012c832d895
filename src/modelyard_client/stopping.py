"""A stop that reaches every thread within a second: what waits is woken, and what goes on asks in between."""

from __future__ import annotations

import threading

from modelyard_client.errors import Interrupted


class Stop:
    """Whether all work is to end."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """End all work."""
        self._event.set()

    @property
    def wanted(self) -> bool:
        """Whether work is to end."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Interrupted where work is to end."""
        if self._event.is_set():
            raise Interrupted("Interrupted")

    def wait(self, seconds: float) -> None:
        """Wait so long. Raises Interrupted as soon as work is to end."""
        if self._event.wait(seconds):
            raise Interrupted("Interrupted")
