"""How logged models are sorted: by attributes, and by the latest value of a metric, perhaps on one dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ScalarSelect, or_, select

from modelyard.registry.search.conditions import Condition
from modelyard.registry.search.orders import attribute_keys, nullable_keys
from modelyard.registry.search.pages import SortKey
from modelyard.registry.search.subjects import LOGGED_MODELS
from modelyard.registry.tables import METRIC_VALUE, CandidateMetric, LoggedModel
from modelyard.wire.filters import Entity, Order

Dataset = tuple[str, str | None]  # its name, and its digest where only one of that name is meant


@dataclass(frozen=True, slots=True)
class ModelOrder:
    """One key of an order; `dataset` tells which values of a metric count (None: all)."""

    order: Order
    dataset: Dataset | None = None


def model_keys(orders: Iterable[ModelOrder]) -> list[SortKey]:
    """The sort keys of an order. Raises InvalidValue for what has none."""
    keys: list[SortKey] = []
    for each in orders:
        if each.order.key.entity is Entity.METRIC:
            keys += nullable_keys(_latest(each), 0, descending=each.order.descending)
        else:
            keys += attribute_keys(LOGGED_MODELS, [each.order])
    return keys


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
