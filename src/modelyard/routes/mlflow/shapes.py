"""Rows of the registry in the shapes of MLflow's API. Ids and values are strings there, times milliseconds."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request

from modelyard.registry.tables import Candidate, Experiment, Model, ModelVersion
from modelyard.routes.urls import base_url
from modelyard.settings import Settings

Shape = dict[str, object]


def tag_list(tags: Mapping[str, str]) -> list[Shape]:
    """Tags as MLflow lists them."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def artifact_uri(request: Request, candidate: Candidate) -> str:
    """Where a run's artifacts lie: MLflow's own scheme, or GitLab's file API where the settings say so."""
    settings: Settings = request.app.state.settings
    owner = f"candidate:{candidate.iid}" if candidate.model_version_id is None else str(candidate.model_version_id)
    if settings.mlflow_artifact_uri == "mlflow":
        return f"mlflow-artifacts:/{owner}"
    return f"{base_url(request)}/api/v4/projects/{candidate.project_id}/packages/ml_models/{owner}/files/"


def run(request: Request, candidate: Candidate, experiment: Experiment, tags: Mapping[str, str]) -> Shape:
    """A run with its info and data."""
    info: Shape = {
        "run_id": candidate.eid,
        "run_uuid": candidate.eid,
        "experiment_id": str(experiment.iid),
        "run_name": candidate.name,
        "user_id": str(candidate.user_id or ""),
        "status": candidate.status,
        "start_time": candidate.start_time,
        "artifact_uri": artifact_uri(request, candidate),
        "lifecycle_stage": "active" if candidate.deleted_at is None else "deleted",
    }
    if candidate.end_time is not None:
        info["end_time"] = candidate.end_time
    return {"info": info, "data": {"metrics": [], "params": [], "tags": tag_list(tags)}}


def registered_model(model: Model, tags: Mapping[str, str]) -> Shape:
    """A registered model without versions."""
    return {
        "name": model.name,
        "creation_timestamp": model.created_at,
        "last_updated_timestamp": model.updated_at,
        "description": model.description,
        "user_id": str(model.user_id or ""),
        "tags": tag_list(tags),
        "latest_versions": [],
    }


def model_version(model: Model, version: ModelVersion, candidate: Candidate, tags: Mapping[str, str]) -> Shape:
    """A version; `version` is its global id and the semantic version an alias, as in GitLab."""
    return {
        "name": model.name,
        "version": str(version.id),
        "creation_timestamp": version.created_at,
        "last_updated_timestamp": version.updated_at,
        "user_id": str(version.user_id or ""),
        "current_stage": "None",
        "description": version.description,
        "source": version.source or f"mlflow-artifacts:/{version.id}",
        "run_id": candidate.eid,
        "run_link": version.run_link,
        "status": "READY",
        "status_message": "",
        "tags": tag_list(tags),
        "aliases": [version.version],
    }
