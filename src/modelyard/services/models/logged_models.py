"""Logged models: what MLflow 3 makes of each model that a run logs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from modelyard.access.identity import Identity
from modelyard.clock import now
from modelyard.errors import DoesNotExist, InvalidValue
from modelyard.registry.repository import Registry
from modelyard.registry.search.logged_models import Dataset, ModelOrder
from modelyard.registry.search.pages import decode_token, encode_token
from modelyard.registry.tables import LoggedModel
from modelyard.registry.tracking.metrics import Point
from modelyard.services.tracking.experiments import Search, active_experiment, check_extent, searched_experiments
from modelyard.services.tracking.limits import (
    MAX_MODEL_NAME,
    MAX_RUN_ID,
    MAX_TAG_VALUE,
    check_key,
    check_length,
    check_params,
    check_tags,
)
from modelyard.terms.filters import parse_filter

VERSIONS_TAG = "mlflow.modelVersions"


class LoggedModelStatus(StrEnum):
    """MLflow's states of a logged model."""

    PENDING = "LOGGED_MODEL_PENDING"
    READY = "LOGGED_MODEL_READY"
    UPLOAD_FAILED = "LOGGED_MODEL_UPLOAD_FAILED"


@dataclass(frozen=True, slots=True)
class NewLoggedModel:
    """What a client says of a model that it is going to log."""

    experiment_id: str
    name: str | None = None
    model_type: str = ""
    source_run_id: str = ""  # a run that may live elsewhere, as MLflow has it
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoggedModelView:
    """A logged model with all that is known of it."""

    model: LoggedModel
    experiment_iid: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Sequence[tuple[Point, str]]  # the last of each on each dataset, with the id of the run that measured it


@dataclass(frozen=True, slots=True)
class LoggedModelSearch:
    """A search of logged models: what all searches take, and what is theirs alone."""

    search: Search
    orders: Sequence[ModelOrder]
    datasets: Sequence[Dataset]  # some metric was measured on one of them


def create_logged_model(registry: Registry, caller: Identity, project_id: int, new: NewLoggedModel) -> LoggedModelView:
    """Make a logged model, whose files are to follow. Raises DoesNotExist, InvalidValue."""
    name = new.name or f"model-{secrets.token_hex(4)}"
    check_key("Logged model", name, MAX_MODEL_NAME)
    check_length("source_run_id", new.source_run_id, MAX_RUN_ID)
    check_params(new.params)
    check_tags(new.tags)
    experiment = active_experiment(registry, project_id, new.experiment_id)
    model = registry.logged_models.add(
        LoggedModel(
            project_id=project_id,
            experiment_id=experiment.id,
            eid=f"m-{secrets.token_hex(16)}",
            name=name,
            model_type=new.model_type,
            status=LoggedModelStatus.PENDING,
            source_run_id=new.source_run_id,
            user_id=caller.user_id,
        )
    )
    registry.logged_models.set_tags(model, new.tags)
    registry.logged_models.add_params(model, new.params)
    registry.audit.note("ml_logged_model_created", model, {"add": "ml_logged_model", "run_id": model.source_run_id})
    return _views(registry, [model])[0]


def get_logged_model(registry: Registry, project_id: int, model_id: str) -> LoggedModelView:
    """The logged model of that id. Raises DoesNotExist."""
    return _views(registry, [_find(registry, project_id, model_id)])[0]


def finalize(registry: Registry, project_id: int, model_id: str, status: LoggedModelStatus) -> None:
    """Say that a model's files are complete, or never will be. Raises DoesNotExist."""
    _find(registry, project_id, model_id).status = status


def delete_logged_model(registry: Registry, project_id: int, model_id: str) -> None:
    """Remove a logged model with its files; versions made from it keep theirs. Raises DoesNotExist."""
    model = _find(registry, project_id, model_id)
    registry.audit.note("ml_logged_model_destroyed", model, {"remove": "ml_logged_model"})
    registry.logged_models.delete(model)


def set_tags(registry: Registry, project_id: int, model_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a logged model. Raises DoesNotExist, InvalidValue."""
    check_tags(tags)
    registry.logged_models.set_tags(_find(registry, project_id, model_id), tags)


def note_version(registry: Registry, project_id: int, logged_model_id: int, name: str, version_id: int) -> None:
    """Add a project's version to the tag that tells the versions of a logged model, as MLflow's server does.

    A tag that says something else is left alone, as is one that has no room for more, and another project's model:
    whoever may write here need not be allowed to write there.
    """
    model = registry.logged_models.by_id(logged_model_id)
    if model.project_id != project_id:
        return
    known = registry.logged_models.tags([model.id]).get(model.id, {}).get(VERSIONS_TAG, "[]")
    try:
        versions = json.loads(known)
    except (ValueError, RecursionError):
        return
    if not isinstance(versions, list):
        return
    value = json.dumps([*versions, {"name": name, "version": version_id}])
    if len(value) <= MAX_TAG_VALUE:
        registry.logged_models.set_tags(model, {VERSIONS_TAG: value})


def delete_tag(registry: Registry, project_id: int, model_id: str, key: str) -> None:
    """Remove a tag of a logged model. Raises DoesNotExist."""
    model = _find(registry, project_id, model_id)
    if not registry.logged_models.delete_tag(model, key):
        raise DoesNotExist(f"No tag with key '{key}' exists")
    model.updated_at = now()


def log_params(registry: Registry, project_id: int, model_id: str, params: Mapping[str, str]) -> None:
    """Add parameters to a logged model. Raises DoesNotExist, InvalidValue for one that has another value already."""
    check_params(params)
    model = _find(registry, project_id, model_id)
    known = registry.logged_models.params([model.id]).get(model.id, {})
    for key, value in params.items():
        if known.get(key, value) != value:
            raise InvalidValue(f"Parameter '{key}' is already logged with another value")
    registry.logged_models.add_params(model, {key: value for key, value in params.items() if key not in known})


def search_logged_models(
    registry: Registry, project_id: int, experiment_ids: Sequence[str], asked: LoggedModelSearch
) -> tuple[list[LoggedModelView], str | None]:
    """A page of logged models and the token of the next. Raises DoesNotExist for an experiment, InvalidValue."""
    what = ("logged models", experiment_ids, asked.search.identity, tuple(asked.orders), tuple(asked.datasets))
    cursor = decode_token(asked.search.page_token, *what)
    clauses = parse_filter(asked.search.filter)
    check_extent(experiment_ids, clauses)
    internal_ids = searched_experiments(registry, project_id, experiment_ids)
    found, following = registry.logged_models.search(
        internal_ids, clauses, asked.datasets, asked.orders, cursor, asked.search.limit
    )
    return _views(registry, found), encode_token(following, *what)


def _find(registry: Registry, project_id: int, model_id: str) -> LoggedModel:
    model = registry.logged_models.by_eid(project_id, model_id)
    if model is None:
        raise DoesNotExist(f"Logged model with id '{model_id}' not found")
    return model


def _views(registry: Registry, models: Sequence[LoggedModel]) -> list[LoggedModelView]:
    ids, logged = [model.id for model in models], registry.logged_models
    iids = registry.experiments.iids([model.experiment_id for model in models])
    tags, params, metrics = logged.tags(ids), logged.params(ids), registry.metrics.latest_of_models(ids)

    def view(model: LoggedModel) -> LoggedModelView:
        return LoggedModelView(
            model,
            iids[model.experiment_id],
            tags.get(model.id, {}),
            params.get(model.id, {}),
            metrics.get(model.id, []),
        )

    return [view(model) for model in models]
