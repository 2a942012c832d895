"""Metrics of runs: every point, and the latest of each at hand. All of it past the session's entities."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import ColumnElement, Insert, bindparam, case, func, insert, select, tuple_

from modelyard.clock import Milliseconds
from modelyard.registry.asking import Row
from modelyard.registry.base import Question, Repository
from modelyard.registry.dialects import upsert
from modelyard.registry.search.pages import Cursor, Section, SortKey, read_page
from modelyard.registry.search.runs import RUN_ATTACHED
from modelyard.registry.search.weights import hold_one
from modelyard.registry.statements import built_once
from modelyard.registry.tables import (
    METRIC_VALUE,
    Candidate,
    CandidateMetric,
    LatestMetric,
)
from modelyard.registry.tracking.rows import RowRepository

Value: TypeAlias = tuple[str, float | None, Milliseconds, int]
"""One value of a metric, as it is shown: name, value (None for NaN; may be infinite), timestamp, step.

A bare tuple, since a page of runs may hold 20 000: the driver's rows are taken as they are.
"""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric; `logged_model_id` and the dataset say what was measured, if the client said so."""

    name: str
    value: float  # may be NaN or infinite
    timestamp: Milliseconds
    step: int = 0
    logged_model_id: int | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None

    @property
    def age(self) -> tuple[int, int, float]:
        """By this the latest of several points is told, as MLflow tells it."""
        return self.step, self.timestamp, -math.inf if math.isnan(self.value) else self.value

    @property
    def marks(self) -> tuple[object, object]:
        """What tells a point from the others of its run, and from those that were measured of something else."""
        mark = (self.name, self.step, self.timestamp, None if math.isnan(self.value) else self.value)
        return mark, (mark, self.logged_model_id, self.dataset_name, self.dataset_digest)


class MetricRepository(Repository):
    """Reads for many runs at once, by their ids; writes for one run."""

    def latest(self, candidate_ids: Sequence[int]) -> dict[int, list[Value]]:
        """The last value of each metric of runs."""
        return latest_by_run(self.tuples(*asked_latest(candidate_ids)))

    def history(self, candidate_id: int, name: str, cursor: Cursor, limit: int) -> tuple[list[Value], Cursor | None]:
        """A page of one metric's points, by step, then time, then value; fewer than `limit` where some are there twice.

        Its last key is not unique, so that whatever equals the last point of a page is not on the next one either.
        """
        mine = (CandidateMetric.candidate_id == candidate_id) & (CandidateMetric.name == name)
        page = read_page(self.session, [Section(select(CandidateMetric.id).where(mine), _BY_AGE)], cursor, limit)
        statement = _VALUES.add_columns(CandidateMetric.id).where(CandidateMetric.id.in_(page.ids))
        values = {row[-1]: row[:-1] for row in self.tuples(statement)}
        return once(values[id_] for id_ in page.ids), page.following

    def count(self, candidate_id: int, name: str, steps: tuple[int, int] | None) -> int:
        """How many points a metric has, perhaps between two steps."""
        mine = _of_metric(candidate_id, name, steps)
        return self.session.scalar(select(func.count()).select_from(CandidateMetric).where(mine)) or 0

    def numbered(
        self, candidate_id: int, name: str, steps: tuple[int, int] | None, numbers: Sequence[int]
    ) -> list[Value]:
        """Those of the points that `count` counts which have these numbers, by age, from 1 on."""
        number = func.row_number().over(order_by=[key.expression for key in _BY_AGE]).label("number")
        points = _VALUES.add_columns(number).where(_of_metric(candidate_id, name, steps)).subquery()
        *value, numbered = points.columns
        return once(self.tuples(select(*value).where(numbered.in_(numbers)).order_by(numbered)))

    def histories(self, project_id: int, eids: Sequence[str], name: str, limit: int) -> list[tuple[str, Value]]:
        """The first points of a metric in several runs of a project: by run id, then time, then step."""
        mine = (Candidate.project_id == project_id) & Candidate.eid.in_(eids) & (CandidateMetric.name == name)
        statement = _VALUES.add_columns(Candidate.eid).join(Candidate, Candidate.id == CandidateMetric.candidate_id)
        step, time, *value = (key.expression for key in _BY_AGE)
        rows = self.tuples(statement.where(mine).order_by(Candidate.eid, time, step, *value).limit(limit))
        return [(row[-1], row[:-1]) for row in dict.fromkeys(rows)]

    def latest_of_models(self, logged_model_ids: Sequence[int]) -> dict[int, list[tuple[Point, str]]]:
        """The last point of each metric of logged models on each dataset, with the id of its run, in the order in which
        they were logged; MLflow's client knows no other way to a model's metrics.
        """
        found: dict[int, list[tuple[Point, str]]] = defaultdict(list)
        for row in self.tuples(_LATEST_OF_MODELS, {"ids": logged_model_ids}):
            name, value, timestamp, step, model_id, dataset, digest, run_id = row
            number = math.nan if value is None else value
            found[model_id].append((Point(name, number, timestamp, step, model_id, dataset, digest), run_id))
        return found

    def expect_points(self, project_id: int, eid: str, names: Sequence[str]) -> None:
        """Ask, together with the next statement, what `add_points` has to know of a run's metrics of these names."""
        asked = {"project_id": project_id, "eid": eid, "names": list(set(names))}
        self.ask_ahead([_LATEST_OF_EID], _LATEST_OF_EID, asked, lambda rows: [rows])

    def add_points(self, candidate: Candidate, points: Sequence[Point]) -> None:
        """Add points to a run's metrics, unless they are there already, and keep the latest of each at hand.

        A point that was measured of a logged model is kept for each model, and shown once among the run's. Nobody else
        may add to the run meanwhile.
        """
        if not points:
            return
        known, added = self._marks(candidate, points), []
        for point in points:
            mark, of_model = point.marks
            if (mark if point.logged_model_id is None else of_model) not in known:
                known |= {mark, of_model}
                added.append(_point_row(candidate, point))
        if not added:
            return
        self.write_rows(_ADD_POINTS, added)
        RowRepository(self.transaction).add_points(candidate.project_id, len(added))
        latest: dict[str, Point] = {}
        for point in points:
            if point.name not in latest or point.age >= latest[point.name].age:
                latest[point.name] = point
        rows = [_latest_row(candidate, point) for point in latest.values()]
        self.write_rows(_keep_latest(self.dialect), rows)
        hold_one(self.session, candidate.id, RUN_ATTACHED, latest)

    def _marks(self, candidate: Candidate, points: Sequence[Point]) -> set[object]:
        """The marks of those of the points that the run has already. None is looked for that is later than all."""
        rows = self.asked_ahead(_LATEST_OF_EID)
        if rows is None:
            names = list({point.name for point in points})
            rows = self.tuples(_LATEST_OF, {"candidate_id": candidate.id, "names": names})
        latest = {name: (step, timestamp) for name, step, timestamp in rows}
        older = [p for p in points if p.name in latest and (p.step, p.timestamp) <= latest[p.name]]
        if not older:
            return set()
        asked = {
            "candidate_id": candidate.id,
            "names": list({point.name for point in older}),
            "steps": list({point.step for point in older}),
            "first": min(point.timestamp for point in older),
            "last": max(point.timestamp for point in older),
            "values": list({0.0 if math.isnan(point.value) else point.value for point in older}),
        }
        marks: set[object] = set()
        for name, value, timestamp, step, *measured in self.tuples(_LIKE, asked):
            marks |= set(Point(name, math.nan if value is None else value, timestamp, step, *measured).marks)
        return marks


def asked_latest(candidate_ids: Sequence[int]) -> Question:
    """What `MetricRepository.latest` asks."""
    return _LATEST_METRICS, {"ids": candidate_ids}


def latest_by_run(rows: Iterable[Row]) -> dict[int, list[Value]]:
    """What `asked_latest` finds, as `MetricRepository.latest` has it."""
    found: dict[int, list[Value]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row[1:])
    return found


def asked_values_of_run(candidate_id: int, limit: int) -> Question:
    """What finds every value of a run, metric by metric, the latest of each last; `limit` of them and one more."""
    return _ALL_VALUES, {"candidate_id": candidate_id, "limit": limit + 1}


def once(values: Iterable[Value]) -> list[Value]:
    """Values without those that an earlier program kept twice, or that are there for several logged models."""
    return list(dict.fromkeys(values))


_LATEST_METRICS = select(
    LatestMetric.candidate_id, LatestMetric.name, LatestMetric.value, LatestMetric.timestamp, LatestMetric.step
).where(LatestMetric.candidate_id.in_(bindparam("ids", expanding=True)))
_ADD_POINTS = insert(CandidateMetric)
_VALUES = select(
    CandidateMetric.name,
    METRIC_VALUE,
    CandidateMetric.timestamp,
    CandidateMetric.step,
)
_LATEST = select(LatestMetric.name, LatestMetric.step, LatestMetric.timestamp).where(
    LatestMetric.name.in_(bindparam("names", expanding=True))
)
_LATEST_OF = _LATEST.where(LatestMetric.candidate_id == bindparam("candidate_id"))
_LATEST_OF_EID = _LATEST.where(
    LatestMetric.candidate_id
    == select(Candidate.id)
    .where(Candidate.project_id == bindparam("project_id"), Candidate.eid == bindparam("eid"))
    .scalar_subquery()
)
_MEASURED = (CandidateMetric.logged_model_id, CandidateMetric.dataset_name, CandidateMetric.dataset_digest)
# More than is asked for, so that an index answers: names and steps are often those of a grid, and times close together.
_LIKE = _VALUES.add_columns(*_MEASURED).where(
    CandidateMetric.candidate_id == bindparam("candidate_id"),
    CandidateMetric.name.in_(bindparam("names", expanding=True)),
    CandidateMetric.step.in_(bindparam("steps", expanding=True)),
    CandidateMetric.timestamp.between(bindparam("first"), bindparam("last")),
    CandidateMetric.value.in_(bindparam("values", expanding=True)),
)
_BY_AGE = (
    *(SortKey(CandidateMetric.step), SortKey(CandidateMetric.timestamp)),
    *(SortKey(case((CandidateMetric.is_nan, 0), else_=1)), SortKey(CandidateMetric.value)),  # as the latest is chosen
)
_AGE_AMONG_LIKE = (
    func.row_number()
    .over(
        partition_by=(CandidateMetric.logged_model_id, CandidateMetric.name, *_MEASURED[1:]),
        order_by=[*(each.expression.desc() for each in _BY_AGE), CandidateMetric.id.desc()],
    )
    .label("age")
)
_OF_MODELS = (
    select(CandidateMetric.id, _AGE_AMONG_LIKE)
    .where(CandidateMetric.logged_model_id.in_(bindparam("ids", expanding=True)))
    .subquery()
)
_LATEST_OF_MODELS = (
    _VALUES.add_columns(*_MEASURED, Candidate.eid)
    .join(Candidate, Candidate.id == CandidateMetric.candidate_id)
    .where(CandidateMetric.id.in_(select(_OF_MODELS.c.id).where(_OF_MODELS.c.age == 1)))
    .order_by(CandidateMetric.id)
)
_ALL_VALUES = (
    _VALUES.where(CandidateMetric.candidate_id == bindparam("candidate_id"))
    .order_by(CandidateMetric.name, *(each.ordered for each in _BY_AGE))
    .limit(bindparam("limit"))
)


def _of_metric(candidate_id: int, name: str, steps: tuple[int, int] | None) -> ColumnElement[bool]:
    mine = (CandidateMetric.candidate_id == candidate_id) & (CandidateMetric.name == name)
    return mine if steps is None else mine & CandidateMetric.step.between(*steps)


@built_once
def _keep_latest(dialect: str) -> Insert:
    statement = upsert(dialect, LatestMetric)
    new, old = statement.excluded, LatestMetric
    lowest = -math.inf  # NaN loses against every number
    is_later = tuple_(new.step, new.timestamp, func.coalesce(new.value, lowest)) >= tuple_(
        old.step, old.timestamp, func.coalesce(old.value, lowest)
    )
    columns = {name: new[name] for name in ("value", "timestamp", "step")}
    return statement.on_conflict_do_update(index_elements=["candidate_id", "name"], set_=columns, where=is_later)


def _point_row(candidate: Candidate, point: Point) -> dict[str, object]:
    is_nan = math.isnan(point.value)
    return {
        "candidate_id": candidate.id,
        "name": point.name,
        "value": 0.0 if is_nan else point.value,
        "is_nan": is_nan,
        "timestamp": point.timestamp,
        "step": point.step,
        "logged_model_id": point.logged_model_id,
        "dataset_name": point.dataset_name,
        "dataset_digest": point.dataset_digest,
    }


def _latest_row(candidate: Candidate, point: Point) -> dict[str, object]:
    return {
        "candidate_id": candidate.id,
        "experiment_id": candidate.experiment_id,
        "name": point.name,
        "value": None if math.isnan(point.value) else point.value,
        "timestamp": point.timestamp,
        "step": point.step,
    }
