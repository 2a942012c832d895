"""What was logged of versions: parameters and the last values of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate, ModelVersion
from modelyard.registry.tracking.metrics import Value


@dataclass(frozen=True, slots=True)
class Measured:
    """What was logged to a run."""

    run: Candidate | None = None  # None: to none of this project
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[Value] = ()


def measured(registry: Registry, project_id: int, versions: Sequence[ModelVersion]) -> dict[int, Measured]:
    """What was logged of a project's versions, by their ids: to the candidate of each, or where that has nothing, to
    the run whose files the version took (`run_id`).
    """
    own = registry.runs.of_versions([version.id for version in versions])
    runs = registry.runs.by_eids(project_id, [version.run_id for version in versions if version.run_id])
    ids = [run.id for run in (*own.values(), *runs.values())]
    params, metrics = registry.run_data.params(ids), registry.metrics.latest(ids)

    def of(version: ModelVersion) -> Measured:
        mine, named = own.get(version.id), runs.get(version.run_id)
        empty = mine is None or not (mine.id in params or mine.id in metrics)
        run = named if empty and named is not None else mine
        return Measured(run, params.get(run.id, {}), metrics.get(run.id, [])) if run is not None else Measured()

    return {version.id: of(version) for version in versions}
