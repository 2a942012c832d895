"""Experiments and their candidates, which MLflow calls runs."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from modelyard.access.identity import Identity
from modelyard.errors import MLflowError
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate, Experiment
from modelyard.wire.paths import parse_id

MAX_NAME = 255  # characters
MAX_TAG_KEY = 250
MAX_TAG_VALUE = 20_000  # MLflow's limit for experiments; GitLab's 5000 is below what its client sends
DEFAULT_EXPERIMENT_ID = "0"
DEFAULT_EXPERIMENT = "Default"
RUN_NAME_TAG = "mlflow.runName"
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
    start_time: int = 0  # milliseconds since 1970
    tags: Mapping[str, str] = field(default_factory=dict)


def already_exists(message: str) -> MLflowError:
    """400 for a name that is taken; MLflow's client then goes on with what is there."""
    return MLflowError("RESOURCE_ALREADY_EXISTS", message)


def does_not_exist(message: str) -> MLflowError:
    """404 for what is not there."""
    return MLflowError("RESOURCE_DOES_NOT_EXIST", message, 404)


def invalid(message: str) -> MLflowError:
    """400 for a value against the rules."""
    return MLflowError("INVALID_PARAMETER_VALUE", message)


def create_experiment(
    registry: Registry, caller: Identity, project_id: int, name: str, tags: Mapping[str, str]
) -> Experiment:
    """Make an experiment. Raises MLflowError for a name that is blank, too long or taken."""
    if not name.strip() or len(name) > MAX_NAME:
        raise invalid(f"Experiment name must have 1 to {MAX_NAME} characters")
    check_tags(tags)
    if registry.experiments.by_name(project_id, name) is not None:
        raise already_exists(f"Experiment '{name}' already exists")
    iid = registry.projects.next_experiment_iid(project_id)
    experiment = Experiment(project_id=project_id, iid=iid, name=name, user_id=caller.user_id)
    return registry.experiments.add(experiment, tags)


def create_run(registry: Registry, caller: Identity, project_id: int, new: NewRun) -> tuple[Candidate, Experiment]:
    """Begin a run. Raises MLflowError when the experiment does not exist or a value is against the rules."""
    check_tags(new.tags)
    name = new.name or new.tags.get(RUN_NAME_TAG) or random_name()
    if len(name) > MAX_NAME:
        raise invalid(f"Run name must have at most {MAX_NAME} characters")
    experiment = _experiment(registry, caller, project_id, new.experiment_id)
    candidate = add_candidate(registry, caller, experiment, name, new.start_time, new.tags)
    return candidate, experiment


def add_candidate(
    registry: Registry, caller: Identity, experiment: Experiment, name: str, start_time: int, tags: Mapping[str, str]
) -> Candidate:
    """A new candidate in an experiment, with the next iid of its project."""
    candidate = Candidate(
        project_id=experiment.project_id,
        iid=registry.projects.next_candidate_iid(experiment.project_id),
        eid=str(uuid.uuid4()),
        experiment_id=experiment.id,
        user_id=caller.user_id,
        name=name,
        status=RunStatus.RUNNING,
        start_time=start_time,
    )
    return registry.experiments.add_candidate(candidate, tags)


def check_tags(tags: Mapping[str, str]) -> None:
    """Hold keys and values to their limits; raises MLflowError."""
    for key, value in tags.items():
        if not key or len(key) > MAX_TAG_KEY:
            raise invalid(f"Tag keys must have 1 to {MAX_TAG_KEY} characters")
        if len(value) > MAX_TAG_VALUE:
            raise invalid(f"The value of tag '{key}' has more than {MAX_TAG_VALUE} characters")


def random_name() -> str:
    """A name for a run that got none, such as `calm-otter-417`."""
    return f"{secrets.choice(ADJECTIVES)}-{secrets.choice(ANIMALS)}-{secrets.randbelow(1000)}"


def _experiment(registry: Registry, caller: Identity, project_id: int, experiment_id: str) -> Experiment:
    if experiment_id == DEFAULT_EXPERIMENT_ID:
        # MLflow's client starts runs there when nobody named an experiment; GitLab has none and fails.
        existing = registry.experiments.by_name(project_id, DEFAULT_EXPERIMENT)
        return existing or create_experiment(registry, caller, project_id, DEFAULT_EXPERIMENT, {})
    experiment = registry.experiments.by_iid(project_id, parse_id(experiment_id))
    if experiment is None or experiment.deleted_at is not None:
        raise does_not_exist(f"No experiment with id {experiment_id} exists")
    return experiment
