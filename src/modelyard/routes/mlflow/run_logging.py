"""What MLflow's clients log to a run: metrics, parameters, tags, datasets and models."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelyard.registry.repository import Registry
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.params import LONG_BODY_BYTES, parameters, stating
from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.common import MAX_LISTED, REST, InProject, Key, PageToken, Param, Tag, mlflow_router
from modelyard.routes.mlflow.messages import MAX_INT64, Count, Double, Int64, Message, OfRun
from modelyard.routes.mlflow.pages import Piece, page
from modelyard.routes.mlflow.records import FoundMetrics
from modelyard.services.tracking import run_logging
from modelyard.services.tracking.limits import (
    MAX_DATASET_DIGEST,
    MAX_DATASET_NAME,
    MAX_DATASET_PROFILE,
    MAX_DATASET_SCHEMA,
    MAX_DATASET_SOURCE,
    MAX_DATASET_SOURCE_TYPE,
    MAX_INPUT_TAG_VALUE,
    MAX_REGISTRY_KEY,
)

router = mlflow_router(REST)

MAX_MODEL_JSON = 1024 * 1024  # of which what is kept must fit into a tag
DatasetName = Annotated[str, Field(max_length=MAX_DATASET_NAME)]
DatasetDigest = Annotated[str, Field(max_length=MAX_DATASET_DIGEST)]
MAX_BATCH = 10_000  # of a kind; to more than MLflow takes, which is less, the service has MLflow's words


class MetricFields(Message):
    """One value of a metric; `NaN`, `Infinity` and `-Infinity` come as texts."""

    key: Key
    value: Double
    timestamp: Int64
    step: Int64 = 0
    model_id: str | None = None
    dataset_name: DatasetName | None = None
    dataset_digest: DatasetDigest | None = None

    def metric(self) -> run_logging.Metric:
        """The metric for the service."""
        measured = (self.model_id, self.dataset_name, self.dataset_digest)
        return run_logging.Metric(self.key, self.value, self.timestamp, self.step, *measured)


class LogMetric(OfRun, MetricFields):
    """A metric and the run that it is of."""


class LogKeyed(OfRun, Tag):
    """A parameter or tag and the run that it is of."""


class DeleteTag(OfRun):
    """Which tag of which run is meant."""

    key: Key


class LogBatch(OfRun):
    """Everything that is logged at once."""

    metrics: list[MetricFields] = Field(default_factory=list, max_length=MAX_BATCH, fail_fast=True)
    params: list[Param] = Field(default_factory=list, max_length=MAX_BATCH, fail_fast=True)
    tags: list[Tag] = Field(default_factory=list, max_length=MAX_BATCH, fail_fast=True)


class DatasetFields(Message):
    """A dataset."""

    name: Annotated[str, stating(minLength=1, maxLength=MAX_DATASET_NAME)]
    digest: DatasetDigest
    source_type: str = Field("", max_length=MAX_DATASET_SOURCE_TYPE)
    source: str = Field("", max_length=MAX_DATASET_SOURCE)
    schema_: str | None = Field(None, alias="schema", max_length=MAX_DATASET_SCHEMA)
    profile: str | None = Field(None, max_length=MAX_DATASET_PROFILE)


class InputTag(Message):
    """A tag of a dataset for one run."""

    key: Annotated[str, Field(max_length=MAX_REGISTRY_KEY)]
    value: Annotated[str, Field(max_length=MAX_INPUT_TAG_VALUE)] = ""


class DatasetInput(Message):
    """A dataset and what it is used for."""

    dataset: DatasetFields
    tags: list[InputTag] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)

    def described(self) -> run_logging.Dataset:
        """The dataset for the service."""
        given, tags = self.dataset, {tag.key: tag.value for tag in self.tags}
        described = (given.name, given.digest, given.source_type, given.source, given.schema_, given.profile)
        return run_logging.Dataset(*described, tags)


class ModelLink(Message):
    """A logged model."""

    model_id: str
    step: Int64 = 0


class LogInputs(OfRun):
    """What a run takes in."""

    datasets: list[DatasetInput] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)
    models: list[ModelLink] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)


class LogOutputs(OfRun):
    """What a run brings forth."""

    models: list[ModelLink] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)


class LogModel(OfRun):
    """A model that a run has logged."""

    model_json: str = Field(max_length=MAX_MODEL_JSON, description="Its MLmodel file, as JSON.")


class History(OfRun):
    """Which metric of which run is read."""

    metric_key: str
    max_results: Count = Field(0, description="0 for all of them.")
    page_token: PageToken | None = None


async def _log(project: InProject, run_id: str, batch: run_logging.Batch) -> Answer[Nothing]:
    await project.write_run(run_id, lambda registry, _caller, pid: run_logging.log_batch(registry, pid, run_id, batch))
    return answer(NOTHING)


@router.post("/runs/log-metric", summary="Log a metric")
async def log_metric(project: InProject, logged: LogMetric = parameters(LogMetric)) -> Answer[Nothing]:
    """Append one point."""
    return await _log(project, logged.run_id, run_logging.Batch(metrics=[logged.metric()]))


@router.post("/runs/log-parameter", summary="Log a parameter")
async def log_parameter(
    project: InProject, logged: LogKeyed = parameters(LogKeyed, most=LONG_BODY_BYTES)
) -> Answer[Nothing]:
    """Parameters are written once; the same value again changes nothing."""
    return await _log(project, logged.run_id, run_logging.Batch(params=[(logged.key, logged.value)]))


@router.post("/runs/set-tag", summary="Set a tag of a run")
async def set_tag(project: InProject, logged: LogKeyed = parameters(LogKeyed, most=LONG_BODY_BYTES)) -> Answer[Nothing]:
    """Whether or not there is one of that key."""
    return await _log(project, logged.run_id, run_logging.Batch(tags={logged.key: logged.value}))


@router.post("/runs/log-batch", summary="Log metrics, parameters and tags")
async def log_batch(project: InProject, logged: LogBatch = parameters(LogBatch)) -> Answer[Nothing]:
    """All of it or nothing."""
    metrics = [each.metric() for each in logged.metrics]
    params = [(each.key, each.value) for each in logged.params]
    batch = run_logging.Batch(metrics, params, {tag.key: tag.value for tag in logged.tags})
    return await _log(project, logged.run_id, batch)


@router.post("/runs/delete-tag", summary="Delete a tag of a run")
async def delete_tag(project: InProject, tag: DeleteTag = parameters(DeleteTag)) -> Answer[Nothing]:
    """By its key."""
    await project.write_run(
        tag.run_id,
        lambda registry, _caller, pid: run_logging.delete_tag(registry, pid, tag.run_id, tag.key),
        adds=False,
    )
    return answer(NOTHING)


@router.post("/runs/log-inputs", summary="Log what a run takes in")
async def log_inputs(project: InProject, logged: LogInputs = parameters(LogInputs)) -> Answer[Nothing]:
    """Datasets and logged models."""
    datasets, model_ids = [each.described() for each in logged.datasets], [each.model_id for each in logged.models]
    await project.write_run(
        logged.run_id,
        lambda registry, _caller, pid: run_logging.log_inputs(registry, pid, logged.run_id, datasets, model_ids),
    )
    return answer(NOTHING)


@router.post("/runs/log-model", summary="Record a model")
async def log_model(
    project: InProject, logged: LogModel = parameters(LogModel, most=LONG_BODY_BYTES)
) -> Answer[Nothing]:
    """What MLflow 2 tells of a model whose files it has put among the run's."""
    await project.write_run(
        logged.run_id,
        lambda registry, _caller, pid: run_logging.record_model(registry, pid, logged.run_id, logged.model_json),
    )
    return answer(NOTHING)


@router.post("/runs/outputs", summary="Log what a run brings forth")
async def log_outputs(project: InProject, logged: LogOutputs = parameters(LogOutputs)) -> Answer[Nothing]:
    """Logged models, each at a step."""
    models = [(each.model_id, each.step) for each in logged.models]
    await project.write_run(
        logged.run_id,
        lambda registry, _caller, pid: run_logging.log_outputs(registry, pid, logged.run_id, models),
    )
    return answer(NOTHING)


@router.get("/metrics/get-history", summary="Show a metric's history")
async def get_history(project: InProject, wanted: History = parameters(History)) -> Answer[FoundMetrics]:
    """Every point by step, then time, page by page."""

    def read(registry: Registry, pid: int, token: str | None, limit: int) -> Piece:
        points, following = run_logging.metric_history(registry, pid, wanted.run_id, wanted.metric_key, token, limit)
        return shapes.metrics(points), following

    return await page(project, FoundMetrics, read, wanted.page_token, wanted.max_results or MAX_INT64)
