"""How whoever looks wants to see things, as small cookies have it: the theme, the zone of time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from modelyard.clock import Milliseconds
from modelyard.wire.cookies import text_of

THEME, ZONE = "modelyard_theme", "modelyard_zone"
THEMES = ("system", "light", "dark")
KEPT_SECONDS = 365 * 86_400
_ZONE = re.compile(r"[A-Za-z0-9_+/-]{1,64}")


@dataclass(frozen=True, slots=True)
class Viewer:
    """A theme out of THEMES, and a zone of the IANA database."""

    theme: str = THEMES[0]
    zone: str = "UTC"

    @classmethod
    def of(cls, cookies: dict[str, str]) -> Viewer:
        """As the cookies say; what they say wrong is not said."""
        theme, zone = cookies.get(THEME, ""), text_of(cookies.get(ZONE, ""))
        return cls(theme if theme in THEMES else THEMES[0], zone if zone_of(zone) is not None else "UTC")

    def written(self, moment: Milliseconds) -> str:
        """`2026-11-29 05:58` in the viewer's zone."""
        zone = zone_of(self.zone) or UTC
        return datetime.fromtimestamp(moment / 1000, zone).isoformat(" ", "minutes")[:16]


@lru_cache(64)
def zone_of(name: str) -> tzinfo | None:
    """The zone of that name; None for one that there is not, or that this machine does not know."""
    if name == "UTC":
        return UTC
    if not _ZONE.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return None
