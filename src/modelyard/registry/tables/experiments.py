"""Experiments and their candidates, with everything that is logged to them."""

from __future__ import annotations

from sqlalchemy import Float, ForeignKey, Index, UniqueConstraint, case
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.registry.tables.base import NEVER_REUSE_IDS, Base, CreatedAt, Id, UpdatedAt, author, parent


class Experiment(Base):
    """A group of candidates; every model has one of its own, named `[model]<name>`."""

    __tablename__ = "experiments"
    __table_args__ = (UniqueConstraint("project_id", "iid"), UniqueConstraint("project_id", "name"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    project_id: Mapped[int] = parent("projects.id")
    iid: Mapped[int]
    name: Mapped[str]
    user_id: Mapped[int | None] = author()
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    deleted_at: Mapped[int | None]


class ExperimentTag(Base):
    """A key with a value on an experiment."""

    __tablename__ = "experiment_tags"

    experiment_id: Mapped[int] = parent("experiments.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Candidate(Base):
    """A candidate, which is an MLflow run: `eid` is its run id, `iid` the N of `candidate:N`."""

    __tablename__ = "candidates"
    __table_args__ = (UniqueConstraint("project_id", "iid"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    project_id: Mapped[int] = parent("projects.id")
    iid: Mapped[int]
    eid: Mapped[str] = mapped_column(unique=True)
    experiment_id: Mapped[int] = parent("experiments.id")
    model_version_id: Mapped[int | None] = mapped_column(
        ForeignKey("model_versions.id", ondelete="SET NULL"), unique=True
    )
    user_id: Mapped[int | None] = author()
    named_user: Mapped[str | None]  # whom the client names, who may be another than the one whose token it is
    name: Mapped[str]
    status: Mapped[str]
    start_time: Mapped[int] = mapped_column(default=0)
    end_time: Mapped[int | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    deleted_at: Mapped[int | None]


# The usual order of runs: those that began last first, and of several that began at once by run id.
Index("ix_candidates_experiment_id_start_time_eid", Candidate.experiment_id, Candidate.start_time.desc(), Candidate.eid)

HEAD_LENGTH = 64  # characters of a value that an index holds; PostgreSQL refuses entries of more than 2.7 KB


# Rows lie in the order of their primary key, and so those of one candidate together: a page of runs reads few places.
CLUSTERED = {"sqlite_with_rowid": False}


def head_of(value: str) -> str:
    """The beginning of a parameter's or tag's value, by which searches find it."""
    return value[:HEAD_LENGTH]


class CandidateTag(Base):
    """A key with a value on a candidate. The experiment stands here too, so that one index answers a search."""

    __tablename__ = "candidate_tags"
    __table_args__ = (Index(None, "experiment_id", "key", "head", "candidate_id"), CLUSTERED)

    candidate_id: Mapped[int] = parent("candidates.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    experiment_id: Mapped[int]
    value: Mapped[str]
    head: Mapped[str]  # head_of(value)


class CandidateParam(Base):
    """A parameter of a candidate, written once; laid out as tags are."""

    __tablename__ = "candidate_params"
    __table_args__ = (Index(None, "experiment_id", "key", "head", "candidate_id"), CLUSTERED)

    candidate_id: Mapped[int] = parent("candidates.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    experiment_id: Mapped[int]
    value: Mapped[str]
    head: Mapped[str]


class CandidateMetric(Base):
    """One point of a candidate's metric, perhaps measured of a logged model on a dataset. An index has its curve."""

    __tablename__ = "candidate_metrics"
    __table_args__ = (
        Index("ix_candidate_metrics_curves", "candidate_id", "name", "step", "timestamp", "value", "is_nan"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[Id]
    candidate_id: Mapped[int] = parent("candidates.id")
    name: Mapped[str]
    value: Mapped[float] = mapped_column(Float(53))
    is_nan: Mapped[bool] = mapped_column(default=False)  # SQLite turns NaN into NULL, so `value` is 0 then
    timestamp: Mapped[int]
    step: Mapped[int] = mapped_column(default=0)
    logged_model_id: Mapped[int | None] = mapped_column(ForeignKey("logged_models.id", ondelete="SET NULL"), index=True)
    dataset_name: Mapped[str | None]
    dataset_digest: Mapped[str | None]


METRIC_VALUE = case((CandidateMetric.is_nan, None), else_=CandidateMetric.value)  # None for NaN


class LatestMetric(Base):
    """The last point of each metric of a candidate: the one with the highest step, then time, then value."""

    __tablename__ = "candidate_latest_metrics"
    __table_args__ = (Index(None, "experiment_id", "name", "value", "candidate_id"), CLUSTERED)

    candidate_id: Mapped[int] = parent("candidates.id", primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    experiment_id: Mapped[int]
    value: Mapped[float | None] = mapped_column(Float(53))  # None for NaN, which no comparison holds for
    timestamp: Mapped[int]
    step: Mapped[int]


class CandidateDataset(Base):
    """A dataset that a candidate used, as its client described it."""

    __tablename__ = "candidate_datasets"
    __table_args__ = (Index(None, "name", "candidate_id"), Index(None, "digest", "candidate_id"))

    candidate_id: Mapped[int] = parent("candidates.id", primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(server_default="0")  # among the candidate's, in the order in which they came
    source_type: Mapped[str]
    source: Mapped[str]
    schema: Mapped[str | None]
    profile: Mapped[str | None]
    context: Mapped[str | None]  # what it was used for: the tag `mlflow.data.context`
    tags: Mapped[str]  # a JSON object


class CandidateModel(Base):
    """A logged model that a candidate took in or brought forth."""

    __tablename__ = "candidate_models"

    candidate_id: Mapped[int] = parent("candidates.id", primary_key=True)
    logged_model_id: Mapped[int] = parent("logged_models.id", primary_key=True, index=True)
    output: Mapped[bool] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(default=0)
