"""Amounts on the command line: numbers with a suffix."""

from __future__ import annotations

import re
from collections.abc import Mapping

import click

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)([a-z]?)", re.IGNORECASE)


class Amount(click.ParamType[int]):
    """A positive number, which a suffix multiplies; the result is whole."""

    def __init__(self, name: str, suffixes: Mapping[str, int]) -> None:
        self.name = name
        self._suffixes = suffixes

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number that is meant. Raises BadParameter."""
        match = _AMOUNT.fullmatch(str(value))
        factor = 1 if match and not match[2] else self._suffixes.get(match[2].upper()) if match else None
        amount = int(float(match[1]) * factor) if match and factor else 0
        if amount < 1:
            suffixes = ", ".join(self._suffixes)
            self.fail(f"{value!r} is not a number above zero, perhaps with one of {suffixes}", param, ctx)
        return amount


BYTES = Amount("bytes", {"K": 1024, "M": 1024**2, "G": 1024**3})
SECONDS = Amount("seconds", {"S": 1, "M": 60, "H": 3600, "D": 86_400})
