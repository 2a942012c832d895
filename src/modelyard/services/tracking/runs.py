"""Runs, which are GitLab's candidates: beginning, ending, deleting and finding them."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from modelyard.access.identity import Identity
from modelyard.clock import Milliseconds, now
from modelyard.errors import BadRequest, DoesNotExist, InvalidValue
from modelyard.registry.repository import Registry
from modelyard.registry.search.pages import decode_token, encode_token
from modelyard.registry.search.runs import ArtifactUris
from modelyard.registry.tables import Candidate, CandidateDataset
from modelyard.registry.tracking.experiments import asked_iids
from modelyard.registry.tracking.metrics import Value, asked_latest, asked_values_of_run, latest_by_run, once
from modelyard.registry.tracking.run_data import ModelLink, RunData
from modelyard.services.tracking.experiments import Search, active_experiment, check_extent, searched_experiments
from modelyard.services.tracking.limits import MAX_RUN_NAME, MAX_USER, check_length, check_tags
from modelyard.terms.filters import parse_filter, parse_orders

RUN_NAME_TAG = "mlflow.runName"
MAX_POINTS_SHOWN = 200  # a run with more shows the latest of each metric, as MLflow does; the history has them all
ADJECTIVES = ("amber", "brave", "calm", "deft", "eager", "fleet", "gentle", "happy", "keen", "lucid", "quiet", "vivid")
ANIMALS = ("badger", "crane", "dolphin", "egret", "finch", "gecko", "heron", "lynx", "otter", "raven", "stoat", "wren")


class RunStatus(StrEnum):
    """MLflow's states of a run."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass(frozen=True, slots=True)
class NewRun:
    """What a client says of a run that begins."""

    experiment_id: str
    name: str | None = None
    start_time: Milliseconds = 0
    user: str | None = None  # who may be another than the caller
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunChange:
    """What is to change of a run; None leaves a part as it is."""

    status: RunStatus | None = None
    end_time: Milliseconds | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with everything that was logged to it."""

    candidate: Candidate
    experiment_iid: int
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[Value] = field(default_factory=list)
    datasets: Sequence[CandidateDataset] = field(default_factory=list)
    models: Sequence[ModelLink] = field(default_factory=list)


def create_run(registry: Registry, caller: Identity, project_id: int, new: NewRun) -> RunView:
    """Begin a run. Raises DoesNotExist for the experiment, InvalidValue for a value against the rules."""
    name = new.name or new.tags.get(RUN_NAME_TAG) or random_name()
    tags = dict(new.tags) | {RUN_NAME_TAG: name}
    _check_name(name)
    check_length("user_id", new.user or "", MAX_USER)
    check_tags(tags)
    registry.projects.expect_candidate(project_id)
    experiment = active_experiment(registry, project_id, new.experiment_id)
    candidate = Candidate(
        project_id=project_id,
        experiment_id=experiment.id,
        eid=new_run_id(),
        named_user=new.user,
        name=name,
        start_time=new.start_time,
    )
    add_candidate(registry, caller, candidate, tags)
    return RunView(candidate, experiment.iid, tags)


def new_run_id() -> str:
    """An id for a run that begins."""
    return str(uuid.uuid4())


def add_candidate(registry: Registry, caller: Identity, candidate: Candidate, tags: Mapping[str, str]) -> None:
    """Insert a candidate that is the caller's and runs, with the next iid of its project."""
    candidate.iid = registry.projects.next_candidate_iid(candidate.project_id)
    candidate.user_id, candidate.status = caller.user_id, RunStatus.RUNNING
    registry.runs.add(candidate, tags)


def find_run(registry: Registry, project_id: int, run_id: str) -> Candidate:
    """The run of that id, deleted or not. Raises DoesNotExist."""
    candidate = registry.runs.by_eid(project_id, run_id)
    if candidate is None:
        raise DoesNotExist(f"Run with id={run_id} not found")
    return candidate


def active_run(registry: Registry, project_id: int, run_id: str) -> Candidate:
    """The run of that id, to write to. Raises DoesNotExist, and InvalidValue when it is deleted."""
    candidate = find_run(registry, project_id, run_id)
    if candidate.deleted_at is not None:
        raise InvalidValue(f"The run {run_id} must be in the 'active' state. Current state is deleted.")
    return candidate


def get_run(registry: Registry, project_id: int, run_id: str) -> RunView:
    """A run with every point of its metrics, unless these are very many. Raises DoesNotExist."""
    candidate = find_run(registry, project_id, run_id)
    asked = asked_iids([candidate.experiment_id]), asked_values_of_run(candidate.id, MAX_POINTS_SHOWN)
    data, (iids, values) = registry.run_data.all_of([candidate.id], *asked)
    few = len(values) <= MAX_POINTS_SHOWN
    metrics = {candidate.id: once(values)} if few else registry.metrics.latest([candidate.id])
    return _view(candidate, dict(iids), data, metrics)


def update_run(registry: Registry, project_id: int, run_id: str, change: RunChange) -> RunView:
    """Change a run's status, end or name. Raises DoesNotExist, InvalidValue."""
    candidate = active_run(registry, project_id, run_id)
    if change.status is not None:
        candidate.status = change.status
    if change.end_time is not None:
        candidate.end_time = change.end_time
    if change.name:
        rename_run(registry, candidate, change.name)
        registry.run_data.set_tags(candidate, {RUN_NAME_TAG: change.name})
    experiment = registry.experiments.of(candidate)
    return RunView(candidate, experiment.iid, {})


def rename_run(registry: Registry, candidate: Candidate, name: str) -> None:
    """Give a run another name. Raises InvalidValue."""
    _check_name(name)
    candidate.name = name
    registry.session.flush()


def delete_run(registry: Registry, project_id: int, run_id: str) -> None:
    """Mark a run as deleted. Raises DoesNotExist, BadRequest for a version's."""
    candidate = find_run(registry, project_id, run_id)
    if candidate.model_version_id is not None:
        raise BadRequest.plain("Cannot delete a candidate associated to a model version")
    candidate.deleted_at = candidate.deleted_at or now()


def restore_run(registry: Registry, project_id: int, run_id: str) -> None:
    """Take a run's deletion back. Raises DoesNotExist, InvalidValue when its experiment is deleted."""
    candidate = find_run(registry, project_id, run_id)
    if registry.experiments.of(candidate).deleted_at is not None:
        raise InvalidValue("The run's experiment is deleted; restore it first")
    candidate.deleted_at = None


def search_runs(
    registry: Registry, project_id: int, experiment_ids: Sequence[str], search: Search, uris: ArtifactUris
) -> tuple[list[RunView], str | None]:
    """A page of runs with the latest point of each metric, and the token of the next page; `uris` is how their artifact
    URIs are spelled. Raises DoesNotExist where no experiment is known, InvalidValue.
    """
    what = ("runs, of one moment by run id", experiment_ids, search.identity)  # an older version had another order
    cursor = decode_token(search.page_token, *what)
    clauses, orders = parse_filter(search.filter), parse_orders(search.order_by)
    check_extent(experiment_ids, clauses)
    internal_ids = searched_experiments(registry, project_id, experiment_ids)
    found, following = registry.runs.search(internal_ids, search.view, clauses, orders, cursor, search.limit, uris)
    ids = [candidate.id for candidate in found]
    data, (iids, latest) = registry.run_data.all_of(ids, asked_iids(internal_ids), asked_latest(ids))
    metrics = latest_by_run(latest)
    return [_view(each, dict(iids), data, metrics) for each in found], encode_token(following, *what)


def random_name() -> str:
    """A name for a run that got none, such as `calm-otter-417`."""
    return f"{secrets.choice(ADJECTIVES)}-{secrets.choice(ANIMALS)}-{secrets.randbelow(1000)}"


def _check_name(name: str) -> None:
    check_length("Run name", name, MAX_RUN_NAME)


def _view(run: Candidate, iids: Mapping[int, int], data: RunData, metrics: Mapping[int, Sequence[Value]]) -> RunView:
    return RunView(
        run,
        iids[run.experiment_id],
        data.tags.get(run.id, {}),
        data.params.get(run.id, {}),
        metrics.get(run.id, []),
        data.datasets.get(run.id, []),
        data.models.get(run.id, []),
    )
