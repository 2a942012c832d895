"""Which tokens are used, and which packages downloaded: noted with each file that passes."""

from __future__ import annotations

from collections.abc import Callable

from modelyard.registry.usage import Usage
from modelyard.services.files.lookup import Found

InFlight = Callable[[str, int], None]  # told of each transfer, `up` or `down`, that begins (1) or ends (-1)


class Uses:
    """Notes what was located as used."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    def note(self, located: Found, *, downloaded: bool = False) -> None:
        """A token opened what was located, and perhaps a file of its package was downloaded."""
        location = located.location
        if location.token is not None:
            self._usage.tokens.note(location.token.token_id)
        if downloaded and location.package_id is not None:
            self._usage.packages.note(location.package_id)
