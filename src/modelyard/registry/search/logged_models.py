"""How logged models are sorted: by attributes, and by the latest value of a metric, perhaps on one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ScalarSelect, or_, select

from modelyard.registry.search.conditions import Condition
from modelyard.registry.search.orders import attribute_keys, nullable_keys
from modelyard.registry.search.pages import Section, SortKey
from modelyard.registry.search.subjects import LOGGED_MODELS
from modelyard.registry.tables import METRIC_VALUE, CandidateMetric, LoggedModel
from modelyard.terms.filters import Entity, Order

Dataset = tuple[str, str | None]  # its name, and its digest where only one of that name is meant


@dataclass(frozen=True, slots=True)
class ModelOrder:
    """One key of an order; `dataset` tells which values of a metric count (None: all)."""

    order: Order
    dataset: Dataset | None = None


def model_section(mine: Sequence[Condition], orders: Sequence[ModelOrder]) -> Section:
    """The models that meet conditions, in an order, newest first by itself. Raises InvalidValue for what has none.

    The values of metrics are looked up before all else, one for each model: a page asks for them in several places.
    """
    metrics = [each for each in orders if each.order.key.entity is Entity.METRIC]
    values = [_latest(each).label(f"value_{number}") for number, each in enumerate(metrics)]
    found = select(LoggedModel.id, *values).where(*mine).cte("found").prefix_with("MATERIALIZED")
    keys: list[SortKey] = []
    for each in orders:
        if each.order.key.entity is Entity.METRIC:
            value = found.columns[f"value_{metrics.index(each)}"]
            keys += nullable_keys(value, 0, descending=each.order.descending)
        else:
            keys += attribute_keys(LOGGED_MODELS, [each.order])
    usual = () if orders else (SortKey(LoggedModel.created_at, descending=True),)
    measured = select(LoggedModel.id).join(found, found.columns.id == LoggedModel.id)
    statement = measured if metrics else select(LoggedModel.id).where(*mine)
    return Section(statement, (*keys, *usual, SortKey(LoggedModel.id, descending=True)))


def measured_on(datasets: Sequence[Dataset]) -> Condition:
    """Whether a value was measured on one of the datasets."""
    named = []
    for name, digest in datasets:
        on_it = CandidateMetric.dataset_name == name
        named.append(on_it & (CandidateMetric.dataset_digest == digest) if digest else on_it)
    return or_(*named)


def _latest(each: ModelOrder) -> ScalarSelect[float | None]:
    """A model's value of the highest step, then time; none is NaN's place too."""
    mine = (CandidateMetric.logged_model_id == LoggedModel.id) & (CandidateMetric.name == each.order.key.name)
    statement = select(METRIC_VALUE).where(mine, *([measured_on([each.dataset])] if each.dataset else ()))
    newest_first = (CandidateMetric.step.desc(), CandidateMetric.timestamp.desc(), CandidateMetric.value.desc())
    return statement.order_by(*newest_first).limit(1).correlate(LoggedModel).scalar_subquery()
