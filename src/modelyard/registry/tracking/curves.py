"""Points of one metric in several runs, to be drawn: how many there are, all of them, or the extremes of parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Float,
    Select,
    SQLColumnExpression,
    and_,
    case,
    cast,
    func,
    literal,
    select,
    true,
    union_all,
)

from modelyard.registry.base import Repository
from modelyard.registry.tables import METRIC_VALUE, Candidate, CandidateMetric, LatestMetric

LARGEST = 1.7976931348623157e308  # of all finite numbers
EXACT = 2**53  # the steps that a float can tell apart
MOST_STEPS = 2**62  # from the first to the last, of which parts are counted in 64 bits

Outlines = dict[tuple[int, str], list[float | None]]  # by the id of a run and a metric's name; None for NaN
Window = tuple[int, int]  # the first and the last step, or millisecond, that is looked at


class Axis(StrEnum):
    """What points are drawn over."""

    STEP = "step"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked at of runs: a metric, what it is drawn over, and from where to where of that."""

    name: str
    axis: Axis = Axis.STEP
    window: Window | None = None

    @property
    def place(self) -> SQLColumnExpression[int]:
        """Where a point is drawn."""
        return CandidateMetric.step if self.axis is Axis.STEP else CandidateMetric.timestamp

    @property
    def condition(self) -> ColumnElement[bool]:
        """Of the points of any run, those that are looked at."""
        mine: ColumnElement[bool] = CandidateMetric.name == self.name
        return mine if self.window is None else mine & self.place.between(*self.window)


@dataclass(frozen=True, slots=True)
class Reach:
    """How many points a metric has in a run, and the first and the last step of them."""

    count: int  # no more than was asked for
    first: int
    last: int


class Part(NamedTuple):
    """What points lie in a part of a run's curve."""

    run: int  # its id
    points: int  # how many
    least: float | None
    greatest: float | None
    odd: int  # how many of them are NaN, or infinite
    first: int  # place
    last: int


_FINITE = and_(CandidateMetric.is_nan.is_(False), CandidateMetric.value.between(-LARGEST, LARGEST))
_FINITE_VALUE = case((_FINITE, CandidateMetric.value))
_ARRAYS = {"sqlite": func.json_array, "postgresql": func.json_build_array}


class CurveRepository(Repository):
    """Reads of several runs at once, by their ids; a point that was measured of several models is there for each."""

    def reaches(self, ids: Sequence[int], look: Look, most: int) -> dict[int, Reach]:
        """How far a metric reaches in each run that has any point of it; none counts more than `most` of them."""
        mine = (CandidateMetric.candidate_id == Candidate.id) & look.condition
        some = select(literal(1)).select_from(CandidateMetric).where(mine).limit(most).correlate(Candidate).subquery()
        step = CandidateMetric.step
        ends = [
            select(step).where(mine).order_by(order).limit(1).correlate(Candidate).scalar_subquery()
            for order in (step, step.desc())
        ]
        statement = select(Candidate.id, select(func.count()).select_from(some).scalar_subquery(), *ends)
        rows = self.tuples(statement.where(Candidate.id.in_(ids)))
        return {row[0]: Reach(*row[1:]) for row in rows if row[1]}

    def points(self, ids: Sequence[int], look: Look) -> list[tuple[int, int, float | None]]:
        """All points, run by run: its id, the place, the value (None for NaN)."""
        mine = CandidateMetric.candidate_id.in_(ids) & look.condition
        statement = select(CandidateMetric.candidate_id, look.place, METRIC_VALUE).where(mine)
        order = (CandidateMetric.candidate_id, look.place, CandidateMetric.step, CandidateMetric.timestamp)
        return [(row[0], row[1], row[2]) for row in self.tuples(statement.order_by(*order, CandidateMetric.id))]

    def parts(self, reaches: dict[int, Reach], look: Look, parts: int, *, finite: bool = False) -> list[Part]:
        """What is in each of so many equal parts of the steps of each run, in their order; nothing of empty ones. An
        index has all of that in this order, so that nothing needs to be sorted.

        Unless only of points that are `finite`, NaN counts as odd and is 0 among the others, and `least` or `greatest`
        is None where that is infinite.
        """
        runs, numbers = _spans(reaches, parts), _numbers(parts)
        begin = runs.c.first + numbers.c.number * runs.c.width
        end = begin + runs.c.width - 1
        end = case((end < runs.c.last, end), else_=runs.c.last)
        mine = (CandidateMetric.candidate_id == runs.c.id) & (CandidateMetric.step >= begin)
        # The window's steps are those from first to last: said once more, a database might look for them instead.
        mine &= (CandidateMetric.step <= end) & (look if look.axis is Axis.TIME else Look(look.name)).condition
        if finite:
            mine &= _FINITE
        figures: list[Any] = [func.count(), *_ends_of_values(), func.count().filter(CandidateMetric.is_nan)]
        ends: list[Select[Any]] = []
        if look.axis is Axis.TIME:
            figures += [func.min(CandidateMetric.timestamp), func.max(CandidateMetric.timestamp)]
        else:
            step = CandidateMetric.step
            ends = [select(step).order_by(order).limit(1) for order in (step, step.desc())]
        wanted = [select(_ARRAYS[self.dialect](*figures)), *ends]
        shown = (each.where(mine).correlate(runs, numbers).scalar_subquery() for each in wanted)
        statement = select(runs.c.id, *shown).select_from(runs).join(numbers, true())
        rows = self.tuples(statement.order_by(runs.c.id, numbers.c.number))
        read = ((row[0], orjson.loads(row[1]) if isinstance(row[1], str) else row[1], row[2:]) for row in rows)
        return [Part(id_, *told, *places) for id_, told, places in read if told[0]]

    def parts_by_place(self, ids: Sequence[int], look: Look, parts: int) -> list[Part]:
        """As `parts`, of finite points, but of equal parts of all that is looked at, wherever an index has it: all
        points are sorted for that, which takes several times as long.
        """
        mine = CandidateMetric.candidate_id.in_(ids) & look.condition
        low, high = look.window or self.tuples(select(func.min(look.place), func.max(look.place)).where(mine))[0]
        width = max((float(high) - float(low)) / parts, 1.0)
        part = cast((cast(look.place, Float(53)) - float(low)) / width - 0.5, BigInteger).label("part")
        values = (func.min(_FINITE_VALUE), func.max(_FINITE_VALUE), func.sum(case((_FINITE, 0), else_=1)))
        first = func.min(look.place)
        statement = select(CandidateMetric.candidate_id, func.count(), *values, first, func.max(look.place)).where(mine)
        rows = self.tuples(statement.group_by(CandidateMetric.candidate_id, part).order_by(part))
        return [Part(*row) for row in rows]

    def outlines(self, ids: Sequence[int], names: Sequence[str], count: int) -> Outlines:
        """`count` values of each of some metrics of runs, at steps as evenly spread as there are points: an impression
        of their course, by one look into an index each, however many points there are.
        """
        if not names or not ids:
            return {}
        same = (CandidateMetric.candidate_id == LatestMetric.candidate_id) & (CandidateMetric.name == LatestMetric.name)
        first = select(func.min(CandidateMetric.step)).where(same).correlate(LatestMetric).scalar_subquery()
        low = case((first < -EXACT, -EXACT), else_=first)
        numbers = _numbers(count)
        share = cast(numbers.c.number, Float(53)) / float(count - 1)
        step = cast(LatestMetric.step * share + low * (1.0 - share), BigInteger)
        value = select(METRIC_VALUE).where(same, CandidateMetric.step >= step).limit(1)
        value = value.order_by(CandidateMetric.step, CandidateMetric.timestamp).correlate(LatestMetric, numbers)
        mine = LatestMetric.candidate_id.in_(ids) & LatestMetric.name.in_(names)
        mine &= LatestMetric.step.between(-EXACT, EXACT)
        shown = select(LatestMetric.candidate_id, LatestMetric.name, value.scalar_subquery())
        statement = shown.select_from(LatestMetric).join(numbers, true()).where(mine)
        found: Outlines = {}
        for owner, name, each in self.tuples(statement.order_by(LatestMetric.name, numbers.c.number)):
            found.setdefault((owner, name), []).append(each)
        return found


def _ends_of_values() -> list[ColumnElement[Any]]:
    """The least and the greatest value, which JSON can only tell where they are finite."""
    least, greatest = func.min(CandidateMetric.value), func.max(CandidateMetric.value)
    return [case((least >= -LARGEST, least)), case((greatest <= LARGEST, greatest))]


def _numbers(count: int) -> CTE:
    """The numbers from 0 on, so many."""
    begun = select(literal(0).label("number")).cte("numbers", recursive=True)
    return begun.union_all(select(begun.c.number + 1).where(begun.c.number < count - 1))


def _spans(reaches: dict[int, Reach], parts: int) -> CTE:
    """The runs with their first and last steps, and how many steps a part of them has."""
    rows = (
        select(
            literal(id_, BigInteger).label("id"),
            literal(reach.first, BigInteger).label("first"),
            literal(reach.last, BigInteger).label("last"),
            literal((reach.last - reach.first) // parts + 1, BigInteger).label("width"),
        )
        for id_, reach in reaches.items()
    )
    return union_all(*rows).cte("runs")
