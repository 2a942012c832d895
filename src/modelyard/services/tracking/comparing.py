"""Runs side by side: histories of one metric in many of them, and the datasets that they took in."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.registry.repository import Registry
from modelyard.registry.tracking.metrics import Value
from modelyard.registry.tracking.run_data import DatasetSummary
from modelyard.services.tracking.experiments import searched_experiments

MAX_DATASETS = 1_000  # as MLflow has it


def histories(
    registry: Registry, project_id: int, run_ids: Sequence[str], name: str, limit: int
) -> list[tuple[str, Value]]:
    """The first `limit` points of a metric in runs by their ids, by time, then step; each with its run's id."""
    return registry.metrics.histories(project_id, run_ids, name, limit)


def samples(
    registry: Registry, project_id: int, run_id: str, name: str, steps: tuple[int, int] | None, count: int
) -> list[Value]:
    """At most `count` points of a run's metric, perhaps only those between two steps, spread evenly over all of them:
    the first of each of `count` parts, as equal as can be, and the last point of all in place of the last part's.
    Nothing for a run that is not there.
    """
    run = registry.runs.by_eid(project_id, run_id)
    if run is None:
        return []
    total = registry.metrics.count(run.id, name, steps)
    return registry.metrics.numbered(run.id, name, steps, _spread(total, count))


def datasets(registry: Registry, project_id: int, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
    """The datasets of experiments. Raises DoesNotExist for an unknown experiment."""
    return registry.run_data.dataset_summaries(searched_experiments(registry, project_id, experiment_ids), MAX_DATASETS)


def _spread(total: int, count: int) -> list[int]:
    if total <= count:
        return list(range(1, total + 1))
    size, larger = divmod(total, count)
    firsts = [1 + part * size + min(part, larger) for part in range(count)]
    return [*firsts[:-1], total]
