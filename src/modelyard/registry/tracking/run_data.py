"""What is logged to runs: tags, parameters, metrics, datasets and models. All of it past the session's entities."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from sqlalchemy import ColumnElement, Insert, bindparam, case, delete, func, insert, select, tuple_

from modelyard.clock import Milliseconds
from modelyard.registry.base import Repository
from modelyard.registry.dialects import upsert
from modelyard.registry.search.pages import Cursor, Section, SortKey, read_page
from modelyard.registry.search.runs import RUN_ATTACHED
from modelyard.registry.search.weights import hold_one
from modelyard.registry.tables import (
    METRIC_VALUE,
    Candidate,
    CandidateDataset,
    CandidateMetric,
    CandidateModel,
    CandidateParam,
    CandidateTag,
    Experiment,
    LatestMetric,
    LoggedModel,
    head_of,
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


@dataclass(frozen=True, slots=True)
class ModelLink:
    """A logged model that a run took in or brought forth."""

    model_id: str  # m-…
    output: bool
    step: int


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset that runs of an experiment took in, and what for."""

    experiment_iid: int
    name: str
    digest: str
    context: str | None


class RunDataRepository(Repository):
    """Reads for many runs at once, by their ids; writes for one run."""

    def tags(self, candidate_ids: Sequence[int]) -> dict[int, dict[str, str]]:
        """The tags of runs."""
        return self.values(CandidateTag.candidate_id, CandidateTag.key, CandidateTag.value, candidate_ids)

    def params(self, candidate_ids: Sequence[int]) -> dict[int, dict[str, str]]:
        """The parameters of runs."""
        return self.values(CandidateParam.candidate_id, CandidateParam.key, CandidateParam.value, candidate_ids)

    def latest_metrics(self, candidate_ids: Sequence[int]) -> dict[int, list[Value]]:
        """The last value of each metric of runs."""
        found: dict[int, list[Value]] = defaultdict(list)
        for row in self.tuples(_LATEST_METRICS, {"ids": candidate_ids}):
            found[row[0]].append(row[1:])
        return found

    def all_values(self, candidate_id: int, limit: int) -> list[Value] | None:
        """Every value of a run, metric by metric, the latest of each last; None if there are more than `limit`."""
        rows = self.tuples(_ALL_VALUES, {"candidate_id": candidate_id, "limit": limit + 1})
        return _once(rows) if len(rows) <= limit else None

    def history(self, candidate_id: int, name: str, cursor: Cursor, limit: int) -> tuple[list[Value], Cursor | None]:
        """A page of one metric's points, by step, then time, then value; fewer than `limit` where some are there twice.

        Its last key is not unique, so that whatever equals the last point of a page is not on the next one either.
        """
        mine = (CandidateMetric.candidate_id == candidate_id) & (CandidateMetric.name == name)
        page = read_page(self.session, [Section(select(CandidateMetric.id).where(mine), _BY_AGE)], cursor, limit)
        statement = _VALUES.add_columns(CandidateMetric.id).where(CandidateMetric.id.in_(page.ids))
        values = {row[-1]: row[:-1] for row in self.tuples(statement)}
        return _once(values[id_] for id_ in page.ids), page.following

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
        return _once(self.tuples(select(*value).where(numbered.in_(numbers)).order_by(numbered)))

    def histories(self, project_id: int, eids: Sequence[str], name: str, limit: int) -> list[tuple[str, Value]]:
        """The first points of a metric in several runs of a project: by run id, then time, then step."""
        mine = (Candidate.project_id == project_id) & Candidate.eid.in_(eids) & (CandidateMetric.name == name)
        statement = _VALUES.add_columns(Candidate.eid).join(Candidate, Candidate.id == CandidateMetric.candidate_id)
        step, time, *value = (key.expression for key in _BY_AGE)
        rows = self.tuples(statement.where(mine).order_by(Candidate.eid, time, step, *value).limit(limit))
        return [(row[-1], row[:-1]) for row in dict.fromkeys(rows)]

    def dataset_summaries(self, experiment_ids: Sequence[int], limit: int) -> list[DatasetSummary]:
        """The datasets that runs of experiments used."""
        shown = (Experiment.iid, CandidateDataset.name, CandidateDataset.digest, CandidateDataset.context)
        statement = select(*shown).select_from(CandidateDataset)
        statement = statement.join(Candidate, Candidate.id == CandidateDataset.candidate_id)
        statement = statement.join(Experiment, Experiment.id == Candidate.experiment_id)
        mine = statement.where(Candidate.experiment_id.in_(experiment_ids)).distinct().order_by(*shown).limit(limit)
        return [DatasetSummary(*row) for row in self.tuples(mine)]

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

    def datasets(self, candidate_ids: Sequence[int]) -> dict[int, list[CandidateDataset]]:
        """The datasets that runs used, in the order in which they were logged."""
        found: dict[int, list[CandidateDataset]] = defaultdict(list)
        for dataset in self.session.scalars(_DATASETS, {"ids": candidate_ids}):
            found[dataset.candidate_id].append(dataset)
        return found

    def models(self, candidate_ids: Sequence[int]) -> dict[int, list[ModelLink]]:
        """The logged models that runs took in or brought forth."""
        found: dict[int, list[ModelLink]] = defaultdict(list)
        for owner, model_id, output, step in self.tuples(_MODELS, {"ids": candidate_ids}):
            found[owner].append(ModelLink(model_id, output, step))
        return found

    def set_tags(self, candidate: Candidate, tags: Mapping[str, str]) -> None:
        """Set tags, whether or not there are any of these keys."""
        if tags:
            self.write_rows(_set_tags(self.dialect), _rows(candidate, tags))
            hold_one(self.session, candidate.id, RUN_ATTACHED, tags.values())

    def delete_tag(self, candidate: Candidate, key: str) -> bool:
        """Remove a tag; whether there was one."""
        mine = (CandidateTag.candidate_id == candidate.id) & (CandidateTag.key == key)
        return self.changed(delete(CandidateTag).where(mine))

    def params_named(self, candidate: Candidate, keys: Sequence[str]) -> dict[str, str]:
        """Those of the parameters that a run has."""
        mine = (CandidateParam.candidate_id == candidate.id) & CandidateParam.key.in_(keys)
        rows = self.session.execute(select(CandidateParam.key, CandidateParam.value).where(mine))
        return {row.key: row.value for row in rows}

    def add_params(self, candidate: Candidate, params: Mapping[str, str]) -> None:
        """Insert parameters that the run does not have yet."""
        if params:
            self.write_rows(insert(CandidateParam), _rows(candidate, params))
            hold_one(self.session, candidate.id, RUN_ATTACHED, params.values())

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
        RowRepository(self.session).add_points(candidate.project_id, len(added))
        latest: dict[str, Point] = {}
        for point in points:
            if point.name not in latest or point.age >= latest[point.name].age:
                latest[point.name] = point
        rows = [_latest_row(candidate, point) for point in latest.values()]
        self.write_rows(_keep_latest(self.dialect), rows)
        hold_one(self.session, candidate.id, RUN_ATTACHED, latest)

    def add_datasets(self, candidate: Candidate, datasets: Sequence[CandidateDataset]) -> None:
        """Note datasets after those that a run has; one of these stays as it was first logged, as in MLflow."""
        columns = (CandidateDataset.name, CandidateDataset.digest, CandidateDataset.place)
        rows = self.tuples(select(*columns).where(CandidateDataset.candidate_id == candidate.id))
        texts: list[str] = []
        known, last = {row[:2] for row in rows}, max((row[2] for row in rows), default=0)
        for dataset in datasets:
            key = (dataset.name, dataset.digest)
            if key not in known:
                known.add(key)
                last += 1
                dataset.place = last
                self.session.add(dataset)
                texts += [dataset.source, dataset.schema or "", dataset.profile or "", dataset.tags]
        self.session.flush()
        hold_one(self.session, candidate.id, RUN_ATTACHED, texts)

    def _marks(self, candidate: Candidate, points: Sequence[Point]) -> set[object]:
        """The marks of those of the points that the run has already. None is looked for that is later than all."""
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

    def link_model(self, candidate: Candidate, logged_model_id: int, step: int, *, output: bool) -> None:
        """Note that a run took in or brought forth a logged model."""
        link = CandidateModel(candidate_id=candidate.id, logged_model_id=logged_model_id, output=output, step=step)
        self.session.merge(link)
        self.session.flush()


_LATEST_METRICS = select(
    LatestMetric.candidate_id, LatestMetric.name, LatestMetric.value, LatestMetric.timestamp, LatestMetric.step
).where(LatestMetric.candidate_id.in_(bindparam("ids", expanding=True)))
_DATASETS = (
    select(CandidateDataset)
    .where(CandidateDataset.candidate_id.in_(bindparam("ids", expanding=True)))
    .order_by(CandidateDataset.place, CandidateDataset.name, CandidateDataset.digest)  # older ones have no place
)
_MODELS = (
    select(CandidateModel.candidate_id, LoggedModel.eid, CandidateModel.output, CandidateModel.step)
    .join(LoggedModel, LoggedModel.id == CandidateModel.logged_model_id)
    .where(CandidateModel.candidate_id.in_(bindparam("ids", expanding=True)))
    .order_by(LoggedModel.id)
)
_ADD_POINTS = insert(CandidateMetric)
_VALUES = select(
    CandidateMetric.name,
    METRIC_VALUE,
    CandidateMetric.timestamp,
    CandidateMetric.step,
)
_LATEST_OF = select(LatestMetric.name, LatestMetric.step, LatestMetric.timestamp).where(
    LatestMetric.candidate_id == bindparam("candidate_id"), LatestMetric.name.in_(bindparam("names", expanding=True))
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


@cache
def _set_tags(dialect: str) -> Insert:
    statement = upsert(dialect, CandidateTag)
    new = {"value": statement.excluded.value, "head": statement.excluded.head}
    return statement.on_conflict_do_update(index_elements=["candidate_id", "key"], set_=new)


@cache
def _keep_latest(dialect: str) -> Insert:
    statement = upsert(dialect, LatestMetric)
    new, old = statement.excluded, LatestMetric
    lowest = -math.inf  # NaN loses against every number
    is_later = tuple_(new.step, new.timestamp, func.coalesce(new.value, lowest)) >= tuple_(
        old.step, old.timestamp, func.coalesce(old.value, lowest)
    )
    columns = {name: new[name] for name in ("value", "timestamp", "step")}
    return statement.on_conflict_do_update(index_elements=["candidate_id", "name"], set_=columns, where=is_later)


def _once(values: Iterable[Value]) -> list[Value]:
    """Values without those that an earlier program kept twice, or that are there for several logged models."""
    return list(dict.fromkeys(values))


def _rows(candidate: Candidate, values: Mapping[str, str]) -> list[dict[str, object]]:
    owner = {"candidate_id": candidate.id, "experiment_id": candidate.experiment_id}
    return [owner | {"key": key, "value": value, "head": head_of(value)} for key, value in values.items()]


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
