"""What is done to many runs at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelyard.clock import now
from modelyard.errors import InvalidValue
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Experiment
from modelyard.services.tracking.limits import check_tags
from modelyard.services.tracking.run_logging import set_tags

AT_ONCE = 500  # runs that one transaction changes


def of_experiment(registry: Registry, experiment: Experiment, ids: Sequence[int]) -> list[int]:
    """Those of some runs that are an experiment's."""
    return [run.id for run in registry.run_tables.by_ids(ids) if run.experiment_id == experiment.id]


def delete_runs(registry: Registry, ids: Sequence[int]) -> int:
    """Mark runs as deleted, without those that are versions'; how many."""
    return registry.run_tables.mark_deleted(ids, now())


def restore_runs(registry: Registry, experiment: Experiment, ids: Sequence[int]) -> int:
    """Take back that runs were deleted; how many. Raises InvalidValue where their experiment is deleted."""
    if experiment.deleted_at is not None:
        raise InvalidValue("The experiment of these runs is deleted; restore it first")
    return registry.run_tables.mark_deleted(ids, None)


def tag_runs(registry: Registry, ids: Sequence[int], key: str, value: str) -> int:
    """Set a tag of runs that are not deleted; how many. Raises InvalidValue."""
    check_tags({key: value})
    runs = [run for run in registry.run_tables.by_ids(ids) if run.deleted_at is None]
    for run in runs:
        set_tags(registry, run, {key: value})
    return len(runs)


def in_portions(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Ids in portions that a transaction each changes."""
    for begin in range(0, len(ids), AT_ONCE):
        yield ids[begin : begin + AT_ONCE]
