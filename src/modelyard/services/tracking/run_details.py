"""One run, part by part, each of them bounded: it may have 5 000 metrics and texts of 64 KiB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.errors import DoesNotExist, InvalidValue
from modelyard.registry.repository import Registry
from modelyard.registry.search.runs import PARENT_TAG, View
from modelyard.registry.tables import Candidate, CandidateDataset, Experiment, ModelVersion
from modelyard.registry.tracking.run_data import ModelLink
from modelyard.services.tracking.curves import OUTLINE
from modelyard.services.tracking.limits import MAX_KEY
from modelyard.terms.filters import Entity

SHOWN, LISTED = 20, 100  # keys of each kind in an overview, and on a page of their own
LIVE = ("RUNNING", "SCHEDULED")


@dataclass(frozen=True, slots=True)
class Logged:
    """One key of a run. `value` is a number (None for NaN) or the beginning of a text of `length` characters."""

    key: str
    value: Any
    timestamp: int = 0
    step: int = 0
    length: int = 0
    outline: Sequence[float | None] = ()  # some values of a metric, evenly spread over its steps

    @property
    def cut(self) -> bool:
        """Whether there is more of a text than `value`."""
        return isinstance(self.value, str) and self.length > len(self.value)


@dataclass(frozen=True, slots=True)
class Listed:
    """Keys of one kind, and the key behind which there are more, if there are any."""

    rows: Sequence[Logged]
    following: str | None


@dataclass(frozen=True, slots=True)
class Details:
    """What a run is, and what it belongs to."""

    run: Candidate
    experiment: Experiment
    user: str  # whose token it is, or whom the client named
    version: ModelVersion | None
    model_name: str
    parent: Candidate | None
    children: int
    in_ring: bool  # whether its parents lead back to it

    @property
    def live(self) -> bool:
        """Whether it goes on."""
        return self.run.status in LIVE and self.run.deleted_at is None


def find_candidate(registry: Registry, project_id: int, iid: int) -> Candidate:
    """The run of that iid, deleted or not. Raises DoesNotExist."""
    run = registry.runs.by_iid(project_id, iid)
    if run is None:
        raise DoesNotExist(f"Run {iid} not found")
    return run


def describe(registry: Registry, run: Candidate) -> Details:
    """A run with its surroundings."""
    experiment = registry.experiments.of(run)
    author = registry.users.by_id(run.user_id) if run.user_id is not None else None
    version = registry.versions.by_id(run.project_id, run.model_version_id) if run.model_version_id else None
    model_name = registry.packages.name_and_version(version.id)[0] if version else ""
    parent_eid = registry.run_tables.text(Entity.TAG, run.id, PARENT_TAG)
    parent = registry.runs.by_eid(run.project_id, parent_eid) if parent_eid else None
    children = registry.run_tables.children(experiment.id, [run.eid], View.ACTIVE_ONLY).get(run.eid, 0)
    user = run.named_user or (author.username if author else "")
    in_ring = parent is not None and registry.rings.has(run.id)
    return Details(run, experiment, user, version, model_name, parent, children, in_ring)


def list_logged(
    registry: Registry, run: Candidate, entity: Entity, *, after: str = "", search: str = "", limit: int = LISTED
) -> Listed:
    """Keys of a run's metrics, parameters or tags with their values, those behind `after` that contain `search`."""
    if max(len(after), len(search)) > MAX_KEY:
        raise InvalidValue(f"Keys have at most {MAX_KEY} characters")
    found = registry.run_tables.listed(entity, run.id, after, search, limit + 1)
    rows: list[Logged]
    if entity is Entity.METRIC:
        lines = registry.curves.outlines([run.id], [row[0] for row in found[:limit]], OUTLINE)
        rows = [
            Logged(key, value, time, step, outline=lines.get((run.id, key), ())) for key, value, time, step in found
        ]
    else:
        rows = [Logged(key, value, length=length) for key, value, length, _ in found]
    return Listed(rows[:limit], rows[limit - 1].key if len(rows) > limit else None)


def datasets(registry: Registry, run: Candidate) -> list[CandidateDataset]:
    """The datasets that a run took in."""
    return registry.run_data.datasets([run.id]).get(run.id, [])


def models(registry: Registry, run: Candidate) -> list[ModelLink]:
    """The logged models that a run took in or brought forth."""
    return registry.run_data.models([run.id]).get(run.id, [])


def whole_text(registry: Registry, run: Candidate, entity: Entity, key: str) -> str:
    """A whole parameter or tag. Raises DoesNotExist."""
    text = registry.run_tables.text(entity, run.id, key)
    if text is None:
        raise DoesNotExist(f"Run {run.iid} has no {entity.value} of that key")
    return text
