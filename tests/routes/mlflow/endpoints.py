"""One request that succeeds for every endpoint of MLflow's API that takes parameters."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from modelyard.routes.mlflow import (
    bulk,
    experiments,
    logged_models,
    model_versions,
    registered_models,
    run_artifacts,
    run_logging,
    runs,
)
from modelyard.routes.mlflow.common import SearchQuery
from modelyard.routes.mlflow.messages import OfRun
from tests.routes.mlflow.spellings import Body

TAGS = [{"key": "new", "value": "v"}]
METRIC = {"key": "m", "value": 2.5, "timestamp": 1795448441014, "step": 100_000}
DATASET = {"name": "d", "digest": "1", "source_type": "local", "source": "{}", "schema": "{}", "profile": "{}"}
MODEL_JSON = '{{"run_id": "r", "artifact_path": "m", "utc_time_created": "2024-01-01", "flavors": {{}}}}'
SEARCH = {"max_results": 5, "order_by": ["name ASC"]}
MODEL_SEARCH = {"experiment_ids": ["{experiment}"], "datasets": [{"dataset_name": "d"}], "max_results": 5}


@dataclass(frozen=True)
class Endpoint:
    """One request that succeeds; `{…}` in its path and its texts stands for a part of the world that it meets."""

    method: str
    path: str
    model: type[BaseModel]
    body: Body

    @property
    def only_reads(self) -> bool:
        """Whether the world is afterwards as it was before; a search that is posted shows it in each of its looks."""
        return self.method == "GET" or self.path.endswith(("/search", "/search-datasets"))


ENDPOINTS = [
    Endpoint("POST", "experiments/create", experiments.NewExperiment, {"name": "other", "tags": TAGS}),
    Endpoint("GET", "experiments/get", experiments.MaybeExperimentId, {"experiment_id": "{experiment}"}),
    Endpoint("GET", "experiments/get-by-name", experiments.ExperimentName, {"experiment_name": "e"}),
    Endpoint("GET", "experiments/list", experiments.ExperimentList, {"max_results": 3}),
    Endpoint("GET", "experiments/search", experiments.ExperimentSearch, SEARCH | {"view_type": "ACTIVE_ONLY"}),
    Endpoint("POST", "experiments/search", experiments.ExperimentSearch, SEARCH | {"view_type": "DELETED_ONLY"}),
    Endpoint(
        "POST", "experiments/update", experiments.RenameExperiment, {"experiment_id": "{experiment}", "new_name": "n"}
    ),
    Endpoint("POST", "experiments/delete", experiments.ExperimentId, {"experiment_id": "{experiment}"}),
    Endpoint("POST", "experiments/restore", experiments.ExperimentId, {"experiment_id": "{deleted_experiment}"}),
    Endpoint(
        "POST",
        "experiments/set-experiment-tag",
        experiments.SetTag,
        {"experiment_id": "{experiment}", "key": "new", "value": "v"},
    ),
    Endpoint(
        "POST", "experiments/delete-experiment-tag", experiments.TagKey, {"experiment_id": "{experiment}", "key": "t"}
    ),
    Endpoint(
        "POST",
        "runs/create",
        runs.CreateRun,
        {"experiment_id": "{experiment}", "run_name": "n", "start_time": 1795448441014, "user_id": "u", "tags": TAGS},
    ),
    Endpoint("GET", "runs/get", OfRun, {"run_id": "{run}"}),
    Endpoint(
        "POST",
        "runs/search",
        runs.RunSearch,
        {"experiment_ids": ["{experiment}"], "run_view_type": "ALL", "max_results": 5, "order_by": ["metrics.m DESC"]},
    ),
    Endpoint(
        "POST",
        "runs/update",
        runs.UpdateRun,
        {"run_id": "{run}", "status": "FINISHED", "end_time": 1795448441014, "run_name": "n"},
    ),
    Endpoint("POST", "runs/delete", OfRun, {"run_id": "{run}"}),
    Endpoint("POST", "runs/restore", OfRun, {"run_id": "{run}"}),
    Endpoint("POST", "runs/log-metric", run_logging.LogMetric, METRIC | {"run_id": "{run}", "model_id": "{logged}"}),
    Endpoint("POST", "runs/log-parameter", run_logging.LogKeyed, {"run_id": "{run}", "key": "new", "value": "v"}),
    Endpoint("POST", "runs/set-tag", run_logging.LogKeyed, {"run_id": "{run}", "key": "new", "value": "v"}),
    Endpoint("POST", "runs/delete-tag", run_logging.DeleteTag, {"run_id": "{run}", "key": "t"}),
    Endpoint(
        "POST",
        "runs/log-batch",
        run_logging.LogBatch,
        {"run_id": "{run}", "metrics": [METRIC, METRIC | {"value": 3}], "params": TAGS, "tags": TAGS},
    ),
    Endpoint(
        "POST",
        "runs/log-inputs",
        run_logging.LogInputs,
        {
            "run_id": "{run}",
            "datasets": [{"dataset": DATASET, "tags": TAGS}],
            "models": [{"model_id": "{logged}"}],
        },
    ),
    Endpoint(
        "POST",
        "runs/outputs",
        run_logging.LogOutputs,
        {"run_id": "{run}", "models": [{"model_id": "{logged}", "step": 100_000}]},
    ),
    Endpoint(
        "GET",
        "metrics/get-history",
        run_logging.History,
        {"run_id": "{run}", "metric_key": "m", "max_results": 5},
    ),
    Endpoint(
        "POST",
        "registered-models/create",
        registered_models.NewModel,
        {"name": "new", "description": "d", "tags": TAGS},
    ),
    Endpoint(
        "GET",
        "metrics/get-history-bulk",
        bulk.Bulk,
        {"run_id": ["{run}"], "metric_key": "m", "max_results": 5},
    ),
    Endpoint(
        "GET",
        "metrics/get-history-bulk-interval",
        bulk.Interval,
        {"run_ids": ["{run}"], "metric_key": "m", "start_step": 0, "end_step": 100_000, "max_results": 5},
    ),
    Endpoint("POST", "experiments/search-datasets", bulk.DatasetSearch, {"experiment_ids": ["{experiment}"]}),
    Endpoint("GET", "artifacts/list", run_artifacts.RunDirectory, {"run_id": "{run}", "path": "folder"}),
    Endpoint("POST", "runs/log-model", run_logging.LogModel, {"run_id": "{run}", "model_json": MODEL_JSON}),
    Endpoint("GET", "registered-models/get", registered_models.ModelName, {"name": "m"}),
    Endpoint("PATCH", "registered-models/update", registered_models.UpdateModel, {"name": "m", "description": "d"}),
    Endpoint("PATCH", "registered-models/update", registered_models.UpdateModel, {"name": "m"}),
    Endpoint("POST", "registered-models/rename", registered_models.RenameModel, {"name": "m", "new_name": "n"}),
    Endpoint("DELETE", "registered-models/delete", registered_models.ModelName, {"name": "m"}),
    Endpoint("GET", "registered-models/search", SearchQuery, SEARCH),
    Endpoint("POST", "registered-models/search", SearchQuery, SEARCH),
    Endpoint("GET", "registered-models/get-latest-versions", registered_models.LatestVersions, {"name": "m"}),
    Endpoint(
        "POST",
        "registered-models/get-latest-versions",
        registered_models.LatestVersions,
        {"name": "m", "stages": ["None"]},
    ),
    Endpoint("GET", "registered-models/alias", registered_models.Alias, {"name": "m", "alias": "a"}),
    Endpoint(
        "POST",
        "registered-models/alias",
        registered_models.SetAlias,
        {"name": "m", "alias": "b", "version": "{version}"},
    ),
    Endpoint("DELETE", "registered-models/alias", registered_models.Alias, {"name": "m", "alias": "a"}),
    Endpoint("POST", "registered-models/set-tag", registered_models.SetTag, {"name": "m", "key": "new", "value": "v"}),
    Endpoint("DELETE", "registered-models/delete-tag", registered_models.TagKey, {"name": "m", "key": "t"}),
    Endpoint(
        "POST",
        "model-versions/create",
        model_versions.CreateVersion,
        {"name": "m", "source": "models:/{logged}", "model_id": "{logged}", "run_link": "l", "tags": TAGS},
    ),
    Endpoint("GET", "model-versions/get", model_versions.Version, {"name": "m", "version": "{version}"}),
    Endpoint(
        "PATCH",
        "model-versions/update",
        model_versions.UpdateVersion,
        {"name": "m", "version": "{version}", "description": "d"},
    ),
    Endpoint("PATCH", "model-versions/update", model_versions.UpdateVersion, {"name": "m", "version": "{version}"}),
    Endpoint("DELETE", "model-versions/delete", model_versions.Version, {"name": "m", "version": "{version}"}),
    Endpoint("GET", "model-versions/search", model_versions.VersionSearch, SEARCH),
    Endpoint("POST", "model-versions/search", model_versions.VersionSearch, SEARCH),
    Endpoint("GET", "model-versions/get-download-uri", model_versions.Version, {"name": "m", "version": "{version}"}),
    Endpoint(
        "POST",
        "model-versions/transition-stage",
        model_versions.Transition,
        {"name": "m", "version": "{version}", "stage": "Production", "archive_existing_versions": True},
    ),
    Endpoint(
        "POST",
        "model-versions/set-tag",
        model_versions.SetTag,
        {"name": "m", "version": "{version}", "key": "new", "value": "v"},
    ),
    Endpoint(
        "DELETE", "model-versions/delete-tag", model_versions.TagKey, {"name": "m", "version": "{version}", "key": "t"}
    ),
    Endpoint(
        "POST",
        "logged-models",
        logged_models.NewLoggedModel,
        {"experiment_id": "{experiment}", "name": "n", "source_run_id": "{run}", "params": TAGS, "tags": TAGS},
    ),
    Endpoint("POST", "logged-models/search", logged_models.LoggedModelSearch, MODEL_SEARCH),
    Endpoint(
        "POST",
        "logged-models/search",
        logged_models.LoggedModelSearch,
        {
            "experiment_ids": ["{experiment}"],
            "order_by": [{"field_name": "metrics.m", "ascending": False, "dataset_name": "d"}],
        },
    ),
    Endpoint("PATCH", "logged-models/{logged}", logged_models.Finalize, {"status": "LOGGED_MODEL_READY"}),
    Endpoint("PATCH", "logged-models/{logged}/tags", logged_models.SetTags, {"tags": TAGS}),
    Endpoint("POST", "logged-models/{logged}/params", logged_models.LogParams, {"params": TAGS}),
    Endpoint(
        "GET",
        "logged-models/{logged}/artifacts/directories",
        logged_models.Directory,
        {"artifact_directory_path": "folder"},
    ),
]
