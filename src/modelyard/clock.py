"""Time as the registry keeps it: whole milliseconds since 1970-01-01 UTC."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import overload

Milliseconds = int

DAY: Milliseconds = 86_400_000


def now() -> Milliseconds:
    """The current time."""
    return time.time_ns() // 1_000_000


@overload
def iso(moment: Milliseconds) -> str: ...


@overload
def iso(moment: None) -> None: ...


@overload
def iso(moment: Milliseconds | None) -> str | None: ...


def iso(moment: Milliseconds | None) -> str | None:
    """A moment as GitLab writes it, `2026-01-31T09:30:00.123Z`; None stays None."""
    if moment is None:
        return None
    seconds, millis = divmod(moment, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]}.{millis:03d}Z"


def iso_date(moment: Milliseconds | None) -> str | None:
    """The UTC day of a moment as GitLab writes it, `2026-01-31`; None stays None."""
    return None if moment is None else f"{datetime.fromtimestamp(moment / 1000, UTC):%Y-%m-%d}"


def start_of(day: date) -> Milliseconds:
    """Midnight UTC at which `day` begins: the moment at which GitLab lets a token of that date expire."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
