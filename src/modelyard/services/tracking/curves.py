"""Curves of one metric in several runs, as few points as a screen can show: of each part, the extremes."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

from modelyard.errors import InvalidValue
from modelyard.registry.repository import Registry
from modelyard.registry.tracking.curves import MOST_STEPS, Axis, Look, Part, Reach, Window

MAX_CURVES = 10  # of one request
MOST_POINTS = 4_000  # of a curve, unless all of them are asked for
MOST_IN_ALL = 1_000_000  # points of all curves of one request, where all are asked for
OUTLINE = 32  # points of a curve in a line of text


@dataclass(slots=True)
class Curve:
    """A metric of one run. `x` has steps or milliseconds, `y` values; NaN and infinite ones are `odd`, and not in."""

    run_iid: int
    name: str  # of the run
    total: int = 0
    odd: int = 0
    x: array[float] = field(default_factory=lambda: array("d"))
    y: array[float] = field(default_factory=lambda: array("f"))

    def add(self, place: float, value: float | None) -> None:
        """Add a point."""
        if value is None or not math.isfinite(value):
            self.odd += 1
            return
        self.x.append(place)
        self.y.append(_single(value))

    def draw(self, part: Part) -> None:
        """Add the points of a part: the least and the greatest."""
        self.total += part.points
        self.odd += part.odd
        if part.least is not None:
            self.add(part.first, part.least)
        if part.greatest is not None and (part.last, part.greatest) != (part.first, part.least):
            self.add(part.last, part.greatest)


def curves(
    registry: Registry,
    project_id: int,
    iids: Sequence[int],
    name: str,
    axis: Axis = Axis.STEP,
    window: Window | None = None,
    points: int | None = 2_000,
) -> list[Curve]:
    """The curves of a metric in those of a project's runs that exist, in the order of their iids.

    A run with more than `points` shows the least and the greatest value of each of half as many parts of the window
    (None: all points). Raises InvalidValue where all would be too many.
    """
    runs = registry.run_tables.by_iids(project_id, iids[:MAX_CURVES])
    found = {run.id: Curve(run.iid, run.name) for run in runs}
    look, most = Look(name, axis, window), MOST_IN_ALL if points is None else points
    reaches = registry.curves.reaches(list(found), look, most + 1)
    if points is None and sum(reach.count for reach in reaches.values()) > MOST_IN_ALL:
        raise InvalidValue(f"At most {MOST_IN_ALL} points are shown at once; choose fewer runs, or a part of the curve")
    many = {id_: reach for id_, reach in reaches.items() if reach.count > most}
    few = [id_ for id_ in reaches if id_ not in many]
    for id_, place, value in registry.curves.points(few, look) if few else ():
        found[id_].total += 1
        found[id_].add(place, value)
    for part in _parts(registry, many, look, most // 2) if many else ():
        found[part.run].draw(part)
    return list(found.values())


def _parts(registry: Registry, many: dict[int, Reach], look: Look, parts: int) -> Iterator[Part]:
    """The parts of long curves, run by run."""
    narrow = {id_: reach for id_, reach in many.items() if reach.last - reach.first < MOST_STEPS}
    by_run: dict[int, list[Part]] = {id_: [] for id_ in narrow}
    for part in registry.curves.parts(narrow, look, parts) if narrow else ():
        by_run[part.run].append(part)
    if look.axis is Axis.TIME:
        by_run = {id_: each for id_, each in by_run.items() if _is_spread(each, parts)}
    scattered = [id_ for id_ in many if id_ not in by_run]
    odd = {id_: many[id_] for id_, each in by_run.items() if any(map(_is_odd, each))}
    for part in chain.from_iterable(by_run.values()):
        # Of a curve with any odd point all count as odd, until those that are finite are found.
        yield part._replace(least=None, greatest=None, odd=part.points) if part.run in odd else part
    for part in registry.curves.parts(odd, look, parts, finite=True) if odd else ():
        yield part._replace(points=0, odd=-part.points)
    yield from registry.curves.parts_by_place(scattered, look, parts) if scattered else ()


def _is_odd(part: Part) -> bool:
    return bool(part.odd) or part.least is None or part.greatest is None


def _is_spread(curve: Sequence[Part], parts: int) -> bool:
    """Whether steps and times go the same way, and parts of the one are as good as those of the other."""
    return 4 * len(curve) >= parts and all(before.last <= after.first for before, after in pairwise(curve))


def _single(value: float) -> float:
    """A value within what 32 bits hold."""
    return min(max(value, -3.4028234663852886e38), 3.4028234663852886e38)
