"""How runs are searched: by attributes, metrics, params, tags and datasets, over the experiments of one project."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    select,
)
from sqlalchemy.orm import aliased

from modelyard.errors import InvalidValue
from modelyard.registry.search.conditions import (
    Attribute,
    Column,
    Condition,
    Rows,
    Scope,
    Subject,
    check_text,
    compare,
    conditions,
)
from modelyard.registry.search.orders import attribute_key, nullable_keys
from modelyard.registry.search.pages import Section, SortKey
from modelyard.registry.search.weights import Attached
from modelyard.registry.tables import (
    Candidate,
    CandidateDataset,
    CandidateParam,
    CandidateTag,
    LatestMetric,
    User,
    head_of,
)
from modelyard.terms.filters import Clause, Entity, Order
from modelyard.terms.paths import CANDIDATE

PARENT_TAG = "mlflow.parentRunId"  # by which MLflow's clients nest runs


class View(StrEnum):
    """Which stage of life is looked at; MLflow's view types."""

    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"


@dataclass(frozen=True, slots=True)
class ArtifactUris:
    """How the artifact URIs of runs are spelled: what stands before and after whose files they are."""

    before: str
    after: str = ""

    def of(self, candidate: Candidate) -> str:
        """The URI of a run's artifacts; those of a promoted one are its version's."""
        version_id = candidate.model_version_id
        owner = f"{CANDIDATE}{candidate.iid}" if version_id is None else str(version_id)
        return f"{self.before}{owner}{self.after}"

    @property
    def column(self) -> Column:
        """The same, of each run of a search."""
        version_id = Candidate.model_version_id
        of_candidate = literal(CANDIDATE) + cast(Candidate.iid, Text)
        owner = case((version_id.is_(None), of_candidate), else_=cast(version_id, Text))
        return literal(self.before) + owner + literal(self.after)


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


_USERNAME = select(User.username).where(User.id == Candidate.user_id).correlate(Candidate).scalar_subquery()
_START = Attribute(Candidate.start_time, numeric=True)
_NAME = Attribute(Candidate.name)
RUNS = Subject(
    id=Candidate.id,
    attributes={
        "run_id": Attribute(Candidate.eid),
        "run_name": _NAME,
        "status": Attribute(Candidate.status),
        "user_id": Attribute(
            func.coalesce(cast(Candidate.user_id, Text), ""), others=(_USERNAME, Candidate.named_user)
        ),
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
_ROW_TABLES: dict[Entity, Any] = {
    Entity.METRIC: LatestMetric,
    Entity.PARAM: CandidateParam,
    Entity.TAG: CandidateTag,
}

# What a page of runs shows with them.
RUN_ATTACHED = (
    Attached(CandidateParam.candidate_id, (CandidateParam.value,)),
    Attached(CandidateTag.candidate_id, (CandidateTag.value,)),
    Attached(LatestMetric.candidate_id),
    Attached(
        CandidateDataset.candidate_id,
        (CandidateDataset.source, CandidateDataset.schema, CandidateDataset.profile, CandidateDataset.tags),
    ),
)


def run_sections(
    scope: Scope,
    view: View,
    clauses: Sequence[Clause],
    orders: Sequence[Order],
    uris: ArtifactUris,
    narrowed: Sequence[Condition] = (),
) -> list[Section]:
    """The statements that find the runs of a search over the experiments of `scope`, in order. Raises InvalidValue.

    `narrowed`: what must hold besides, such as `topmost`.

    Runs sorted by a metric, a parameter or a tag first come in sections: those that have it, by its own index, then
    the others. A sort over all of them would look at each for every page.
    """
    subject = _runs_at(uris)
    base = select(Candidate.id).where(
        Candidate.experiment_id.in_(scope.ids),
        *lifecycle(view, Candidate.deleted_at),
        *narrowed,
        *conditions(subject, clauses, scope),
    )
    if orders and orders[0].key.entity in _ROW_TABLES:
        return _row_sections(subject, base, scope.ids, orders[0], orders[1:])
    return [_section(subject, base, [], orders)]


def topmost(view: View, ring: Set[int]) -> Condition:
    """That a run is nobody's child, as far as its experiment and a view go.

    Runs of a `ring`, which are children of each other, are topmost all of them, as nobody else leads to them.
    """
    parent = aliased(Candidate)
    found = exists().where(
        CandidateTag.candidate_id == Candidate.id,
        CandidateTag.key == PARENT_TAG,
        parent.eid == CandidateTag.value,
        parent.experiment_id == Candidate.experiment_id,
        parent.id != Candidate.id,
        *lifecycle(view, parent.deleted_at),
    )
    return ~found | Candidate.id.in_(ring) if ring else ~found


def child_of(experiment_id: int, eid: str) -> Condition:
    """That a run is a child of the one with that run id."""
    named = (CandidateTag.key == PARENT_TAG) & (CandidateTag.head == head_of(eid)) & (CandidateTag.value == eid)
    found = select(CandidateTag.candidate_id).where(CandidateTag.experiment_id == experiment_id, named)
    return Candidate.id.in_(found) & (Candidate.eid != eid)


def lifecycle(view: View, deleted_at: Column) -> list[ColumnElement[bool]]:
    """The condition that a view type stands for."""
    if view is View.ALL:
        return []
    return [deleted_at.is_(None) if view is View.ACTIVE_ONLY else deleted_at.is_not(None)]


@lru_cache(maxsize=100)
def _runs_at(uris: ArtifactUris) -> Subject:
    return replace(RUNS, attributes={**RUNS.attributes, "artifact_uri": Attribute(uris.column)})


def _row_sections(
    subject: Subject, base: Select[int], experiment_ids: list[int], order: Order, rest: Sequence[Order]
) -> list[Section]:
    table = _ROW_TABLES[order.key.entity]
    row = aliased(table)
    key = row.name if table is LatestMetric else row.key
    named = and_(row.candidate_id == Candidate.id, key == order.key.name)
    joined = base.join(row, named).where(row.experiment_id.in_(experiment_ids))
    lacking = _section(subject, base.where(~exists().where(named)), [], rest)
    value = SortKey(row.value, order.descending)
    if table is LatestMetric:
        numbers, others = joined.where(row.value.is_not(None)), joined.where(row.value.is_(None))
        return [_section(subject, numbers, [value], rest), _section(subject, others, [], rest), lacking]
    return [_section(subject, joined, [SortKey(row.head, order.descending), value], rest), lacking]


def _section(subject: Subject, statement: Select[int], keys: list[SortKey], orders: Sequence[Order]) -> Section:
    for order in orders:
        if order.key.entity is Entity.ATTRIBUTE:
            keys += attribute_key(subject, order)
        else:
            statement, more = _ordered_by_row(statement, order)
            keys += more
    if not any(key.expression is Candidate.start_time for key in keys):
        keys.append(SortKey(Candidate.start_time, descending=True))
    return Section(statement, (*keys, SortKey(Candidate.eid)))


def _ordered_by_row(statement: Select[int], order: Order) -> tuple[Select[int], list[SortKey]]:
    if order.key.entity not in _ROW_TABLES:
        raise InvalidValue(f"Cannot order by '{order.key}'")
    table = _ROW_TABLES[order.key.entity]
    row = aliased(table)
    key = row.name if table is LatestMetric else row.key
    joined = statement.outerjoin(row, and_(row.candidate_id == Candidate.id, key == order.key.name))
    if table is not LatestMetric:
        return joined, nullable_keys(row.value, "", descending=order.descending)
    lacking = case((row.candidate_id.is_(None), 2), (row.value.is_(None), 1), else_=0)
    return joined, [SortKey(lacking), SortKey(func.coalesce(row.value, 0), order.descending)]
