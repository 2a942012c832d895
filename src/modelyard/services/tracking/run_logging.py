"""What a run's client logs: metrics, parameters, tags, the datasets and models that it takes in or brings forth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from modelyard.errors import DoesNotExist, InvalidValue
from modelyard.registry.repository import Registry
from modelyard.registry.search.pages import decode_token, encode_token
from modelyard.registry.tables import Candidate, CandidateDataset
from modelyard.registry.tracking.metrics import Point, Value
from modelyard.services.tracking.limits import MAX_DATASET_NAME, check_key, check_params, check_tags
from modelyard.services.tracking.runs import RUN_NAME_TAG, active_run, find_run, rename_run

MAX_METRICS = 1000  # MLflow's limits of one batch
MAX_PARAMS = 100
MAX_TAGS = 100
CONTEXT_TAG = "mlflow.data.context"
MODELS_TAG = "mlflow.log-model.history"
MODEL_FIELDS = ("run_id", "artifact_path", "utc_time_created", "flavors")


@dataclass(frozen=True, slots=True)
class Metric:
    """One value of a metric, as a client logs it."""

    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str | None = None  # the logged model that was measured
    dataset_name: str | None = None
    dataset_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request logs; all of it is kept or nothing."""

    metrics: Sequence[Metric] = field(default_factory=list)
    params: Sequence[tuple[str, str]] = field(default_factory=list)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that a run uses."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def log_batch(registry: Registry, project_id: int, run_id: str, batch: Batch) -> None:
    """Keep a batch. Raises DoesNotExist, InvalidValue; then nothing of it is kept."""
    _check_sizes(batch)
    params = _params(batch.params)
    check_params(params)
    check_tags(batch.tags)
    for metric in batch.metrics:
        check_key("Metric", metric.key)
    if batch.metrics:
        registry.metrics.expect_points(project_id, run_id, [metric.key for metric in batch.metrics])
    candidate = active_run(registry, project_id, run_id)
    _add_params(registry, candidate, params)
    set_tags(registry, candidate, batch.tags)
    registry.metrics.add_points(candidate, _points(registry, project_id, batch.metrics))


def delete_tag(registry: Registry, project_id: int, run_id: str, key: str) -> None:
    """Remove a run's tag. Raises DoesNotExist, InvalidValue."""
    if not registry.run_data.delete_tag(active_run(registry, project_id, run_id), key):
        raise DoesNotExist(f"No tag with key '{key}' exists on run {run_id}")


def metric_history(
    registry: Registry, project_id: int, run_id: str, name: str, page_token: str | None, limit: int
) -> tuple[list[Value], str | None]:
    """A page of one metric's points and the token of the next. Raises DoesNotExist, InvalidValue."""
    candidate = find_run(registry, project_id, run_id)
    cursor = decode_token(page_token, "history", run_id, name)
    values, following = registry.metrics.history(candidate.id, name, cursor, limit)
    return values, encode_token(following, "history", run_id, name)


def log_inputs(
    registry: Registry, project_id: int, run_id: str, datasets: Sequence[Dataset], model_ids: Sequence[str]
) -> None:
    """Note the datasets and logged models that a run uses. Raises DoesNotExist, InvalidValue."""
    candidate = active_run(registry, project_id, run_id)
    registry.run_data.add_datasets(candidate, [_dataset_row(candidate, dataset) for dataset in datasets])
    for model_id in model_ids:
        internal = _logged_model(registry, project_id, model_id)
        registry.run_data.link_model(candidate, internal, 0, output=False)


def record_model(registry: Registry, project_id: int, run_id: str, model_json: str) -> None:
    """Add what an MLmodel file says to the history of models that MLflow 2 logged to a run, a tag; once, however
    often it is told. Raises DoesNotExist, InvalidValue.
    """
    model = _described_model(model_json)
    candidate = active_run(registry, project_id, run_id)
    kept = registry.run_data.tags([candidate.id]).get(candidate.id, {}).get(MODELS_TAG, "[]")
    try:
        models = orjson.loads(kept)
    except ValueError:
        models = None
    if not isinstance(models, list):
        raise InvalidValue(f"The tag '{MODELS_TAG}' of run {run_id} is no list of models")
    if model not in models:
        tag = {MODELS_TAG: orjson.dumps([*models, model]).decode()}
        check_tags(tag)
        registry.run_data.set_tags(candidate, tag)


def log_outputs(registry: Registry, project_id: int, run_id: str, models: Sequence[tuple[str, int]]) -> None:
    """Note the logged models, each with a step, that a run brought forth. Raises DoesNotExist, InvalidValue."""
    candidate = active_run(registry, project_id, run_id)
    for model_id, step in models:
        internal = _logged_model(registry, project_id, model_id)
        registry.run_data.link_model(candidate, internal, step, output=True)


def _described_model(model_json: str) -> dict[str, object]:
    """What is kept of an MLmodel file, as JSON. Raises InvalidValue, in MLflow's words."""
    try:
        model = orjson.loads(model_json)
        orjson.dumps([model])  # which goes less deep
    except (ValueError, TypeError) as error:
        raise InvalidValue(f"Malformed model info. \n {model_json[:1000]} \n is not a valid JSON.") from error
    missing = [key for key in MODEL_FIELDS if not isinstance(model, dict) or key not in model]
    if missing or not isinstance(model["flavors"], dict):
        raise InvalidValue(f"Model json is missing mandatory fields: {missing or ['flavors']}")
    told = {key: model[key] for key in (*MODEL_FIELDS, "model_uuid") if key in model}
    return told | {"flavors": {name: _without_config(flavor) for name, flavor in model["flavors"].items()}}


def _without_config(flavor: object) -> object:
    return {k: v for k, v in flavor.items() if k != "config"} if isinstance(flavor, dict) else flavor


def _check_sizes(batch: Batch) -> None:
    sizes = (
        ("metrics", len(batch.metrics), MAX_METRICS),
        ("params", len(batch.params), MAX_PARAMS),
        ("tags", len(batch.tags), MAX_TAGS),
    )
    for what, size, limit in sizes:
        if size > limit:
            raise InvalidValue(f"A batch can have at most {limit} {what}, got {size}")


def _params(params: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in params:
        if found.setdefault(key, value) != value:
            raise InvalidValue(f"Parameter '{key}' is given twice, with different values")
    return found


def _add_params(registry: Registry, candidate: Candidate, params: Mapping[str, str]) -> None:
    known = registry.run_data.params_named(candidate, list(params)) if params else {}
    for key, value in known.items():
        if params[key] != value:
            raise InvalidValue(f"Parameter '{key}' is already logged with another value: '{value[:250]}'")
    registry.run_data.add_params(candidate, {key: value for key, value in params.items() if key not in known})


def set_tags(registry: Registry, candidate: Candidate, tags: Mapping[str, str]) -> None:
    """Set tags of a run, one of which is its name. Raises InvalidValue."""
    registry.run_data.set_tags(candidate, tags)
    if tags.get(RUN_NAME_TAG):
        rename_run(registry, candidate, tags[RUN_NAME_TAG])


def _points(registry: Registry, project_id: int, metrics: Sequence[Metric]) -> list[Point]:
    models = {m.model_id: _logged_model(registry, project_id, m.model_id) for m in metrics if m.model_id}
    return [
        Point(
            m.key,
            m.value,
            m.timestamp,
            m.step,
            models[m.model_id] if m.model_id else None,
            m.dataset_name or None,
            m.dataset_digest or None,
        )
        for m in metrics
    ]


def _logged_model(registry: Registry, project_id: int, model_id: str) -> int:
    model = registry.logged_models.by_eid(project_id, model_id)
    if model is None:
        raise DoesNotExist(f"Logged model with id '{model_id}' not found")
    return model.id


def _dataset_row(candidate: Candidate, dataset: Dataset) -> CandidateDataset:
    check_key("Dataset", dataset.name, MAX_DATASET_NAME)
    return CandidateDataset(
        candidate_id=candidate.id,
        name=dataset.name,
        digest=dataset.digest,
        source_type=dataset.source_type,
        source=dataset.source,
        schema=dataset.schema,
        profile=dataset.profile,
        context=dataset.tags.get(CONTEXT_TAG),
        tags=json.dumps(dict(dataset.tags)),
    )
