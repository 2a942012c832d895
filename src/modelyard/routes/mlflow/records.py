"""What MLflow's API shows of its things. `shapes` makes them of rows; ids are texts, times milliseconds since 1970."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from typing_extensions import TypedDict

from modelyard.routes.http.answers import Url
from modelyard.routes.http.params import stating

Stage = Literal["active", "deleted"]
Number = float | Annotated[str, stating(enum=["NaN", "Infinity", "-Infinity"])]


class Pair(TypedDict):
    """A tag or a parameter."""

    key: str
    value: str


class Metric(TypedDict):
    """A point of a metric; which run, model or dataset it is of, where that is not clear from its place."""

    key: str
    value: Number
    timestamp: int
    step: NotRequired[int]
    model_id: NotRequired[str]
    run_id: NotRequired[str]
    dataset_name: NotRequired[str]
    dataset_digest: NotRequired[str]


class FoundMetrics(TypedDict):
    """A page of points."""

    metrics: list[Metric]
    next_page_token: str | None


class DatasetSummary(TypedDict):
    """A dataset of an experiment."""

    experiment_id: str
    name: str
    digest: str
    context: NotRequired[str]


class Experiment(TypedDict):
    """An experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: Stage
    creation_time: int
    last_update_time: int
    tags: list[Pair]


class RunInfo(TypedDict):
    """What is known of a run itself."""

    run_id: str
    run_uuid: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    artifact_uri: Url
    lifecycle_stage: Stage
    end_time: NotRequired[int]


class RunData(TypedDict):
    """What was logged to a run."""

    metrics: list[Metric]
    params: list[Pair]
    tags: list[Pair]


class Dataset(TypedDict):
    """A dataset as it was logged."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: NotRequired[str]
    profile: NotRequired[str]


class InputDataset(TypedDict):
    """A dataset that a run takes in, and what for."""

    dataset: Dataset
    tags: list[Pair]


class InputModel(TypedDict):
    """A logged model that a run takes in."""

    model_id: str


class OutputModel(TypedDict):
    """A logged model that a run brings forth, and at which step."""

    model_id: str
    step: int


class RunInputs(TypedDict):
    """What a run takes in."""

    dataset_inputs: list[InputDataset]
    model_inputs: list[InputModel]


class RunOutputs(TypedDict):
    """What a run brings forth."""

    model_outputs: list[OutputModel]


class Run(TypedDict):
    """A run with everything that was logged to it."""

    info: RunInfo
    data: RunData
    inputs: RunInputs
    outputs: RunOutputs


class ModelVersion(TypedDict):
    """A version of a registered model."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    user_id: str
    current_stage: str
    description: str
    source: str
    run_id: str
    run_link: str
    status: str
    status_message: str
    tags: list[Pair]
    aliases: list[str]
    model_id: NotRequired[str]
    origin: NotRequired[dict[str, str]]  # ours: the job that made it, in its issuer's words


class ShownVersion(TypedDict):
    """One version."""

    model_version: ModelVersion


class ModelAlias(TypedDict):
    """A name for a version of a model."""

    alias: str
    version: str


class RegisteredModel(TypedDict):
    """A registered model with the latest version of each stage."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str
    user_id: str
    tags: list[Pair]
    aliases: list[ModelAlias]
    latest_versions: list[ModelVersion]


class LoggedModelInfo(TypedDict):
    """What is known of a logged model itself."""

    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: Url
    status: str
    status_message: str
    model_type: str
    source_run_id: str
    tags: list[Pair]


class LoggedModelData(TypedDict):
    """What was logged of a model."""

    params: list[Pair]
    metrics: list[Metric]


class LoggedModel(TypedDict):
    """A logged model with everything that was logged of it."""

    info: LoggedModelInfo
    data: LoggedModelData
