"""How runs are searched: by attributes, metrics, params, tags and datasets, over the experiments of one project."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, Text, and_, case, cast, func, select
from sqlalchemy.orm import aliased

from modelyard.errors import InvalidValue
from modelyard.registry.search.conditions import Attribute, Column, Condition, Rows, Subject, check_text, compare
from modelyard.registry.search.conditions import conditions as compile_filter
from modelyard.registry.search.orders import attribute_key, nullable_keys
from modelyard.registry.search.pages import Section, SortKey
from modelyard.registry.tables import Candidate, CandidateDataset, CandidateParam, CandidateTag, LatestMetric
from modelyard.wire.filters import Clause, Entity, Order


class View(StrEnum):
    """Which stage of life is looked at; MLflow's view types."""

    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"


DATASET_COLUMNS: dict[str, Column] = {
    "name": CandidateDataset.name,
    "digest": CandidateDataset.digest,
    "context": CandidateDataset.context,
}


def _dataset_condition(clause: Clause) -> Condition:
    column = DATASET_COLUMNS.get(clause.key.name)
    if column is None:
        raise InvalidValue(f"Invalid dataset key '{clause.key.name}'. Valid keys are {sorted(DATASET_COLUMNS)}")
    check_text(clause)
    return Candidate.id.in_(select(CandidateDataset.candidate_id).where(compare(column, clause)))


_START = Attribute(Candidate.start_time, numeric=True)
_NAME = Attribute(Candidate.name)
RUNS = Subject(
    id=Candidate.id,
    attributes={
        "run_id": Attribute(Candidate.eid),
        "run_name": _NAME,
        "status": Attribute(Candidate.status),
        "user_id": Attribute(func.coalesce(cast(Candidate.user_id, Text), "")),
        "start_time": _START,
        "end_time": Attribute(Candidate.end_time, numeric=True, nullable=True),
        # other spellings: MLflow's, then GitLab's
        **dict.fromkeys(("created", "Created"), _START),
        **dict.fromkeys(("run name", "Run name", "Run Name", "name"), _NAME),
        "created_at": Attribute(Candidate.created_at, numeric=True),
        "id": Attribute(Candidate.id, numeric=True),
    },
    rows={
        Entity.METRIC: Rows(
            LatestMetric.candidate_id,
            LatestMetric.name,
            LatestMetric.value,
            numeric=True,
            scope=LatestMetric.experiment_id,
        ),
        Entity.PARAM: Rows(
            CandidateParam.candidate_id,
            CandidateParam.key,
            CandidateParam.value,
            head=CandidateParam.head,
            scope=CandidateParam.experiment_id,
        ),
        Entity.TAG: Rows(
            CandidateTag.candidate_id,
            CandidateTag.key,
            CandidateTag.value,
            head=CandidateTag.head,
            scope=CandidateTag.experiment_id,
        ),
    },
    extra={Entity.DATASET: _dataset_condition},
)
_ROW_TABLES: dict[Entity, type[CandidateParam | CandidateTag]] = {
    Entity.PARAM: CandidateParam,
    Entity.TAG: CandidateTag,
}


def run_sections(
    experiment_ids: list[int], view: View, clauses: Sequence[Clause], orders: Sequence[Order]
) -> list[Section]:
    """The statements that find the runs of a search, in order. Raises InvalidValue.

    Runs sorted by a metric first come in two sections: those that have it, by the metric's own index, then the others.
    """
    base = select(Candidate.id).where(
        Candidate.experiment_id.in_(experiment_ids),
        *lifecycle(view, Candidate.deleted_at),
        *compile_filter(RUNS, clauses, experiment_ids),
    )
    if orders and orders[0].key.entity is Entity.METRIC:
        return _metric_sections(base, experiment_ids, orders[0], orders[1:])
    return [_section(base, [], orders)]


def lifecycle(view: View, deleted_at: Column) -> list[ColumnElement[bool]]:
    """The condition that a view type stands for."""
    if view is View.ALL:
        return []
    return [deleted_at.is_(None) if view is View.ACTIVE_ONLY else deleted_at.is_not(None)]


def _metric_sections(
    base: Select[int], experiment_ids: list[int], order: Order, rest: Sequence[Order]
) -> list[Section]:
    metric = aliased(LatestMetric)
    named = and_(metric.candidate_id == Candidate.id, metric.name == order.key.name)
    having = base.join(metric, named).where(metric.experiment_id.in_(experiment_ids), metric.value.is_not(None))
    lacking = base.outerjoin(metric, named).where(metric.value.is_(None))
    is_nan = SortKey(case((metric.candidate_id.is_not(None), 0), else_=1))
    return [
        _section(having, [SortKey(metric.value, order.descending)], rest),
        _section(lacking, [is_nan], rest),
    ]


def _section(statement: Select[int], keys: list[SortKey], orders: Sequence[Order]) -> Section:
    for order in orders:
        if order.key.entity is Entity.ATTRIBUTE:
            keys += attribute_key(RUNS, order)
        else:
            statement, more = _ordered_by_row(statement, order)
            keys += more
    if not any(key.expression is Candidate.start_time for key in keys):
        keys.append(SortKey(Candidate.start_time, descending=True))
    return Section(statement, (*keys, SortKey(Candidate.id, descending=True)))


def _ordered_by_row(statement: Select[int], order: Order) -> tuple[Select[int], list[SortKey]]:
    if order.key.entity is Entity.METRIC:
        metric = aliased(LatestMetric)
        joined = statement.outerjoin(metric, and_(metric.candidate_id == Candidate.id, metric.name == order.key.name))
        lacking = case((metric.candidate_id.is_(None), 2), (metric.value.is_(None), 1), else_=0)
        return joined, [SortKey(lacking), SortKey(func.coalesce(metric.value, 0), order.descending)]
    if order.key.entity not in _ROW_TABLES:
        raise InvalidValue(f"Cannot order by '{order.key}'")
    row = aliased(_ROW_TABLES[order.key.entity])
    joined = statement.outerjoin(row, and_(row.candidate_id == Candidate.id, row.key == order.key.name))
    return joined, nullable_keys(row.value, "", descending=order.descending)
