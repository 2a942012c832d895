"""Registered models, their versions, and the logged models that versions are made from."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.registry.tables.base import NEVER_REUSE_IDS, Base, CreatedAt, Id, UpdatedAt, author, parent


class Model(Base):
    """A registered model."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("project_id", "name"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    project_id: Mapped[int] = parent("projects.id")
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    user_id: Mapped[int | None] = author()
    default_experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"), unique=True)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class ModelTag(Base):
    """A key with a value on a model."""

    __tablename__ = "model_tags"

    model_id: Mapped[int] = parent("models.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class ModelVersion(Base):
    """One semantic version of a model."""

    __tablename__ = "model_versions"
    __table_args__ = (
        UniqueConstraint("model_id", "version"),
        Index(None, "model_id", "major", "minor", "patch"),
        Index(None, "followed_candidate_id", "followed_directory"),
        Index(None, "followed_model_id", "followed_directory"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[Id]
    project_id: Mapped[int] = parent("projects.id", index=True)
    model_id: Mapped[int] = parent("models.id")
    version: Mapped[str]
    major: Mapped[int]
    minor: Mapped[int]
    patch: Mapped[int]
    prerelease: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    source: Mapped[str] = mapped_column(default="")
    run_link: Mapped[str] = mapped_column(default="")
    stage: Mapped[str] = mapped_column(default="None")  # MLflow's stages
    run_id: Mapped[str] = mapped_column(default="", index=True)  # of whatever run the client names, else its own
    logged_model_id: Mapped[int | None] = mapped_column(
        ForeignKey("logged_models.id", ondelete="SET NULL", use_alter=True), index=True
    )
    # The candidate or logged model that the version follows; no foreign keys, as candidates refer to versions.
    followed_candidate_id: Mapped[int | None]
    followed_model_id: Mapped[int | None]
    followed_directory: Mapped[str] = mapped_column(default="")
    location: Mapped[str] = mapped_column(default="")  # of files that are not on this server, unless `source` tells
    user_id: Mapped[int | None] = author()
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class ModelVersionTag(Base):
    """A key with a value on a version."""

    __tablename__ = "model_version_tags"

    model_version_id: Mapped[int] = parent("model_versions.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class ModelAlias(Base):
    """A name for one version of a model, such as `champion`; it can be moved to another."""

    __tablename__ = "model_aliases"

    model_id: Mapped[int] = parent("models.id", primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    model_version_id: Mapped[int] = parent("model_versions.id", index=True)


class LoggedModel(Base):
    """A model as MLflow 3 logs it, beside the run that made it: `eid` is its id `m-…`, its files are a package."""

    __tablename__ = "logged_models"
    __table_args__ = (Index(None, "experiment_id", "created_at", "id"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    project_id: Mapped[int] = parent("projects.id", index=True)
    experiment_id: Mapped[int] = parent("experiments.id")
    eid: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    model_type: Mapped[str] = mapped_column(default="")
    status: Mapped[str]
    status_message: Mapped[str] = mapped_column(default="")
    source_run_id: Mapped[str] = mapped_column(default="", index=True)
    user_id: Mapped[int | None] = author()
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class LoggedModelTag(Base):
    """A key with a value on a logged model."""

    __tablename__ = "logged_model_tags"

    logged_model_id: Mapped[int] = parent("logged_models.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class LoggedModelParam(Base):
    """A parameter of a logged model."""

    __tablename__ = "logged_model_params"

    logged_model_id: Mapped[int] = parent("logged_models.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
