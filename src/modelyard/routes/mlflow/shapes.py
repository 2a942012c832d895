"""Rows of the registry in the shapes of MLflow's API. Ids and values are strings there, times milliseconds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from fastapi import Request

from modelyard.registry import tables
from modelyard.registry.search.runs import ArtifactUris
from modelyard.registry.tracking import run_data
from modelyard.registry.tracking.metrics import Point, Value
from modelyard.routes.http.urls import base_url
from modelyard.routes.mlflow.records import (
    Dataset,
    DatasetSummary,
    Experiment,
    InputDataset,
    LoggedModel,
    Metric,
    ModelVersion,
    Number,
    OutputModel,
    Pair,
    RegisteredModel,
    Run,
    RunInfo,
    RunInputs,
)
from modelyard.services.models.logged_models import LoggedModelView
from modelyard.services.models.registered import ModelView
from modelyard.services.models.versions import VersionView
from modelyard.services.tracking.experiments import ExperimentView
from modelyard.services.tracking.runs import RunView
from modelyard.settings import Settings
from modelyard.terms import paths


def pairs(values: Mapping[str, str]) -> list[Pair]:
    """Tags or parameters as MLflow lists them."""
    return [{"key": key, "value": value} for key, value in values.items()]


def number(value: float | None) -> Number:
    """A metric's value; JSON has no word for NaN (None) and infinity, so MLflow writes them as texts."""
    if value is None or math.isnan(value):
        return "NaN"
    if math.isfinite(value):
        return value
    return "Infinity" if value > 0 else "-Infinity"


def metrics(values: Sequence[Value]) -> list[Metric]:
    """Points of metrics. A page of runs may hold 20 000."""
    return [
        {
            "key": name,
            "value": value if value is not None and math.isfinite(value) else number(value),
            "timestamp": time,
            "step": step,
        }
        for name, value, time, step in values
    ]


def metric_of(run_id: str, value: Value) -> Metric:
    """A point of a metric among those of other runs."""
    (shape,) = metrics([value])
    shape["run_id"] = run_id
    return shape


def dataset_summary(summary: run_data.DatasetSummary) -> DatasetSummary:
    """A dataset of an experiment."""
    shape: DatasetSummary = {
        "experiment_id": str(summary.experiment_iid),
        "name": summary.name,
        "digest": summary.digest,
    }
    if summary.context is not None:
        shape["context"] = summary.context
    return shape


def experiment(view: ExperimentView) -> Experiment:
    """An experiment. Its artifacts have no place of their own, as GitLab says in its own words."""
    row = view.experiment
    return {
        "experiment_id": str(row.iid),
        "name": row.name,
        "artifact_location": "not_implemented",
        "lifecycle_stage": "active" if row.deleted_at is None else "deleted",
        "creation_time": row.created_at,
        "last_update_time": row.updated_at,
        "tags": pairs(view.tags),
    }


def artifact_uris(request: Request, project_id: int) -> ArtifactUris:
    """Where artifacts of a project's runs lie: MLflow's own scheme, or GitLab's file API where the settings say so."""
    settings: Settings = request.app.state.settings
    if settings.mlflow_artifact_uri == "mlflow":
        return ArtifactUris(paths.artifact_uri(project_id, ""))
    return ArtifactUris(f"{base_url(request)}{paths.API}/projects/{project_id}{paths.MODEL_FILES}/", "/files/")


def run_info(request: Request, view: RunView) -> RunInfo:
    """What is known of a run itself."""
    candidate = view.candidate
    info: RunInfo = {
        "run_id": candidate.eid,
        "run_uuid": candidate.eid,
        "experiment_id": str(view.experiment_iid),
        "run_name": candidate.name,
        "user_id": str(candidate.user_id or ""),
        "status": candidate.status,
        "start_time": candidate.start_time,
        "artifact_uri": artifact_uris(request, candidate.project_id).of(candidate),
        "lifecycle_stage": "active" if candidate.deleted_at is None else "deleted",
    }
    if candidate.end_time is not None:
        info["end_time"] = candidate.end_time
    return info


def run(request: Request, view: RunView) -> Run:
    """A run with everything that was logged to it."""
    inputs: RunInputs = {
        "dataset_inputs": [_dataset(dataset) for dataset in view.datasets],
        "model_inputs": [{"model_id": model.model_id} for model in view.models if not model.output],
    }
    outputs: list[OutputModel] = [
        {"model_id": model.model_id, "step": model.step} for model in view.models if model.output
    ]
    return {
        "info": run_info(request, view),
        "data": {
            "metrics": metrics(view.metrics),
            "params": pairs(view.params),
            "tags": pairs(view.tags),
        },
        "inputs": inputs,
        "outputs": {"model_outputs": outputs},
    }


def registered_model(view: ModelView) -> RegisteredModel:
    """A registered model with the latest version of each stage."""
    row = view.model
    return {
        "name": row.name,
        "creation_timestamp": row.created_at,
        "last_updated_timestamp": row.updated_at,
        "description": row.description,
        "user_id": str(row.user_id or ""),
        "tags": pairs(view.tags),
        "aliases": [{"alias": alias, "version": str(version)} for alias, version in view.aliases.items()],
        "latest_versions": [model_version(version) for version in view.latest],
    }


def model_version(view: VersionView) -> ModelVersion:
    """A version; `version` is its global id and the semantic version an alias, as in GitLab."""
    row = view.version
    shape: ModelVersion = {
        "name": view.model_name,
        "version": str(row.id),
        "creation_timestamp": row.created_at,
        "last_updated_timestamp": row.updated_at,
        "user_id": str(row.user_id or ""),
        "current_stage": row.stage,
        "description": row.description,
        "source": row.source or version_uri(row),
        "run_id": row.run_id,
        "run_link": row.run_link,
        "status": "READY",
        "status_message": view.message,
        "tags": pairs(view.tags),
        "aliases": [row.version, *view.aliases],
    }
    if view.logged_model_id:
        shape["model_id"] = view.logged_model_id
    if view.origin is not None:
        shape["origin"] = dict(view.origin)
    return shape


def version_uri(version: tables.ModelVersion) -> str:
    """Where MLflow's client finds a version's files."""
    return paths.artifact_uri(version.project_id, version.id)


def logged_model(view: LoggedModelView) -> LoggedModel:
    """A logged model with everything that was logged of it."""
    row = view.model
    metrics = [_model_metric(view, point, run_id) for point, run_id in view.metrics]
    return {
        "info": {
            "model_id": row.eid,
            "experiment_id": str(view.experiment_iid),
            "name": row.name,
            "creation_timestamp_ms": row.created_at,
            "last_updated_timestamp_ms": row.updated_at,
            "artifact_uri": f"mlflow-artifacts:/{paths.LOGGED_MODELS_ROOT}/{row.eid}",
            "status": row.status,
            "status_message": row.status_message,
            "model_type": row.model_type,
            "source_run_id": row.source_run_id,
            "tags": pairs(view.tags),
        },
        "data": {"params": pairs(view.params), "metrics": metrics},
    }


def _model_metric(view: LoggedModelView, point: Point, run_id: str) -> Metric:
    (shape,) = metrics([(point.name, point.value, point.timestamp, point.step)])
    shape["model_id"], shape["run_id"] = view.model.eid, run_id
    if point.dataset_name:
        shape["dataset_name"], shape["dataset_digest"] = point.dataset_name, point.dataset_digest or ""
    return shape


def _dataset(dataset: tables.CandidateDataset) -> InputDataset:
    described: Dataset = {
        "name": dataset.name,
        "digest": dataset.digest,
        "source_type": dataset.source_type,
        "source": dataset.source,
    }
    if dataset.schema is not None:
        described["schema"] = dataset.schema
    if dataset.profile is not None:
        described["profile"] = dataset.profile
    return {"dataset": described, "tags": pairs(json.loads(dataset.tags))}
