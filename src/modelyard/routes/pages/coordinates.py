"""Lines for SVG, worked out on the server: sparklines, and runs over parallel axes. They need no script, and print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.services.tracking.run_comparison import Comparison, Field

WIDTH, HEIGHT = 100, 24  # of a sparkline
AXIS_GAP, AXIS_HEIGHT, MARGIN = 130, 220, 60
MAX_AXES = 10
LINE = 2  # points, at least


def sparkline(values: Sequence[float | None]) -> str:
    """The points of a polyline over WIDTH by HEIGHT; empty where there are not two numbers."""
    found = [(number, value) for number, value in enumerate(values) if value is not None and math.isfinite(value)]
    if len(found) < LINE:
        return ""
    least, greatest = min(value for _, value in found), max(value for _, value in found)
    return " ".join(
        f"{number * WIDTH / (len(values) - 1):.1f},{HEIGHT - 1 - _share(value, least, greatest) * (HEIGHT - 2):.1f}"
        for number, value in found
    )


@dataclass(frozen=True, slots=True)
class Axis:
    """A field as an upright axis, with what stands at its ends."""

    x: int
    label: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Parallel:
    """Axes side by side, and a line for each run that has a number on two of them at least: name, points."""

    width: int
    height: int
    axes: Sequence[Axis]
    lines: Sequence[tuple[str, str]]


def coordinates(compared: Comparison) -> Parallel | None:
    """The fields of compared runs that are numbers in all of them and differ; None where there are not two."""
    fields = [(each, numbers) for each in compared.fields if each.differs and (numbers := _numbers(each)) is not None]
    fields = fields[:MAX_AXES]
    if min(len(fields), len(compared.runs)) < LINE:
        return None
    axes = [
        Axis(MARGIN + number * AXIS_GAP, each.column.label, f"{min(numbers):.4g}", f"{max(numbers):.4g}")
        for number, (each, numbers) in enumerate(fields)
    ]
    lines = []
    for row, run in enumerate(compared.runs):
        points = (
            f"{axis.x},{MARGIN + (1 - _share(numbers[row], min(numbers), max(numbers))) * AXIS_HEIGHT:.1f}"
            for axis, (_, numbers) in zip(axes, fields, strict=True)
        )
        lines.append((run.name, " ".join(points)))
    return Parallel(2 * MARGIN + (len(axes) - 1) * AXIS_GAP, 2 * MARGIN + AXIS_HEIGHT, axes, lines)


def _numbers(field: Field) -> list[float] | None:
    """The cells as numbers, where each is one."""
    found = []
    for cell in field.cells:
        try:
            number = float(cell) if isinstance(cell, float | int | str) else math.nan
        except ValueError:
            return None
        if not math.isfinite(number):
            return None
        found.append(number)
    return found


def _share(value: float, least: float, greatest: float) -> float:
    """Where a value lies between two ends, from 0 to 1; halved first, as the distance may be infinite."""
    span = greatest / 2 - least / 2
    return (value / 2 - least / 2) / span if span > 0 else 0.5
