"""Bytes and seconds as people write and read them."""

from __future__ import annotations

import re
from typing import Any

import click

THOUSAND = 1000
UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]i?)?b?", re.IGNORECASE)


def shown_bytes(count: float) -> str:
    """`1.5 GB`, in powers of 1000."""
    if round(count) < THOUSAND:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= THOUSAND
        if round(count) < THOUSAND:
            return f"{count:.1f} {unit}"
    return f"{count / THOUSAND:.1f} TB"


def shown_files(count: int) -> str:
    """`1 file`, `2 files`."""
    return f"{count} file{'' if count == 1 else 's'}"


def shown_seconds(seconds: float) -> str:
    """`1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Rate(click.ParamType[int]):
    """Bytes a second, such as 10M or 512Ki."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """See `click.ParamType.convert`."""
        if isinstance(value, int):
            return value
        found = _AMOUNT.fullmatch(value.strip())
        amount = int(float(found[1]) * UNITS[(found[2] or "").lower()]) if found else 0
        if amount <= 0:
            self.fail(f"{value!r} is no number of bytes, such as 10M or 512Ki", param, ctx)
        return amount
