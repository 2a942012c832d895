"""Numbers as people read them."""

from __future__ import annotations

import math

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP = 1024
_SIGNIFICANT = 4
_SECOND = 1_000  # milliseconds


def amount(size: int) -> str:
    """Bytes: `0 B`, `4.1 GiB`."""
    value, unit = float(size), 0
    while value >= _STEP - 0.05 and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{size} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def count(items: int, one: str, many: str | None = None) -> str:
    """How many there are of something: `1 file`, `12 files`."""
    return f"{grouped(items)} {one if items == 1 else many or f'{one}s'}"


def grouped(items: int) -> str:
    """A whole number with its digits in groups of three: `12 000`."""
    return f"{items:,}".replace(",", "\u202f")


def duration(milliseconds: int) -> str:
    """How long something took, in its two largest units: `850 ms`, `3 s`, `2 h 5 min`, `3 d 4 h`."""
    if abs(milliseconds) < _SECOND:
        return f"{milliseconds} ms"
    left, parts = abs(milliseconds) // _SECOND, []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return ("-" if milliseconds < 0 else "") + " ".join(parts[:2])


def number(value: float | None) -> str:
    """A measurement with four significant digits; what is no number (None too, as the registry has it) in a word."""
    if value is None or math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinity" if value > 0 else "minus infinity"
    return f"{value:.{_SIGNIFICANT}g}"
