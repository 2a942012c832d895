"""What is searched besides runs: experiments, registered models, model versions and logged models.

Attributes have MLflow's names, and GitLab's where these differ.
"""

from __future__ import annotations

from sqlalchemy import Text, cast

from modelyard.registry.search.conditions import Attribute, Rows, Subject
from modelyard.registry.tables import (
    METRIC_VALUE,
    CandidateMetric,
    Experiment,
    ExperimentTag,
    LoggedModel,
    LoggedModelParam,
    LoggedModelTag,
    Model,
    ModelTag,
    ModelVersion,
    ModelVersionTag,
)
from modelyard.terms.filters import Entity


def _times(created: Attribute, updated: Attribute) -> dict[str, Attribute]:
    return {
        **dict.fromkeys(("created_at", "creation_time", "creation_timestamp", "timestamp"), created),
        **dict.fromkeys(("updated_at", "last_update_time", "last_updated_timestamp"), updated),
    }


EXPERIMENTS = Subject(
    id=Experiment.id,
    attributes={
        "name": Attribute(Experiment.name),
        "experiment_id": Attribute(cast(Experiment.iid, Text)),
        "id": Attribute(Experiment.id, numeric=True, filtered=False),
        **_times(Attribute(Experiment.created_at, numeric=True), Attribute(Experiment.updated_at, numeric=True)),
    },
    rows={Entity.TAG: Rows(ExperimentTag.experiment_id, ExperimentTag.key, ExperimentTag.value)},
)

MODELS = Subject(
    id=Model.id,
    attributes={
        "name": Attribute(Model.name),
        "id": Attribute(Model.id, numeric=True, filtered=False),
        **_times(Attribute(Model.created_at, numeric=True), Attribute(Model.updated_at, numeric=True)),
        "timestamp": Attribute(Model.updated_at, numeric=True),  # so MLflow has it of models alone
    },
    rows={Entity.TAG: Rows(ModelTag.model_id, ModelTag.key, ModelTag.value)},
    prompts=True,
)

VERSIONS = Subject(
    id=ModelVersion.id,
    attributes={
        "name": Attribute(Model.name),
        "version_number": Attribute(ModelVersion.id, numeric=True),
        "version": Attribute(ModelVersion.version),
        "run_id": Attribute(ModelVersion.run_id),
        "source_path": Attribute(ModelVersion.source),
        **_times(Attribute(ModelVersion.created_at, numeric=True), Attribute(ModelVersion.updated_at, numeric=True)),
    },
    rows={Entity.TAG: Rows(ModelVersionTag.model_version_id, ModelVersionTag.key, ModelVersionTag.value)},
    prompts=True,
)

LOGGED_MODELS = Subject(
    id=LoggedModel.id,
    attributes={
        "name": Attribute(LoggedModel.name),
        "model_id": Attribute(LoggedModel.eid),
        "model_type": Attribute(LoggedModel.model_type),
        "status": Attribute(LoggedModel.status),
        "source_run_id": Attribute(LoggedModel.source_run_id),
        "creation_timestamp_ms": Attribute(LoggedModel.created_at, numeric=True),
        "last_updated_timestamp_ms": Attribute(LoggedModel.updated_at, numeric=True),
        **_times(Attribute(LoggedModel.created_at, numeric=True), Attribute(LoggedModel.updated_at, numeric=True)),
    },
    rows={
        Entity.TAG: Rows(LoggedModelTag.logged_model_id, LoggedModelTag.key, LoggedModelTag.value, listed=True),
        Entity.PARAM: Rows(LoggedModelParam.logged_model_id, LoggedModelParam.key, LoggedModelParam.value, listed=True),
        Entity.METRIC: Rows(CandidateMetric.logged_model_id, CandidateMetric.name, METRIC_VALUE, numeric=True),
    },
)
