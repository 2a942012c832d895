"""The tables. Times are milliseconds since 1970 UTC, digests are lower-case hex SHA-256.

Ids follow GitLab: version ids are global, the iids of experiments and candidates count within a project. No id is ever
used twice, so that a link to something deleted never comes to mean something else.
"""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Integer, MetaData, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from modelyard.clock import now

# SQLite counts rows only in columns of the exact type INTEGER, which hold 64 bits there.
Int64 = BigInteger().with_variant(Integer, "sqlite")

Id = Annotated[int, mapped_column(Int64, primary_key=True)]
CreatedAt = Annotated[int, mapped_column(Int64, default=now)]
UpdatedAt = Annotated[int, mapped_column(Int64, default=now, onupdate=now)]


def _parent(column: str, *, primary_key: bool = False, index: bool = False) -> Mapped[int]:
    """A reference that dies with its parent."""
    return mapped_column(Int64, ForeignKey(column, ondelete="CASCADE"), primary_key=primary_key, index=index)


def _author() -> Mapped[int | None]:
    """A reference to a user who may leave while the work stays."""
    return mapped_column(Int64, ForeignKey("users.id", ondelete="SET NULL"), index=True)


class Base(DeclarativeBase):
    """The declarative base; constraint names are fixed so that migrations can name them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {int: Int64, str: Text}  # noqa: RUF012 - SQLAlchemy reads it from the class


NEVER_REUSE_IDS = {"sqlite_autoincrement": True}


class User(Base):
    """A person, or the bot behind a project access token."""

    __tablename__ = "users"
    __table_args__ = NEVER_REUSE_IDS

    id: Mapped[Id]
    username: Mapped[str]
    username_key: Mapped[str] = mapped_column(unique=True)  # lower case
    name: Mapped[str]
    email: Mapped[str]
    state: Mapped[str]
    admin: Mapped[bool] = mapped_column(default=False)
    bot: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[CreatedAt]


class Token(Base):
    """A credential; its secret is kept as SHA-256 only."""

    __tablename__ = "tokens"
    __table_args__ = NEVER_REUSE_IDS

    id: Mapped[Id]
    user_id: Mapped[int] = _parent("users.id", index=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    digest: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[str]  # separated by blanks
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[int | None]
    revoked_at: Mapped[int | None]


class Project(Base):
    """A project, addressed by id or by its path `namespace/name` whatever the case."""

    __tablename__ = "projects"
    __table_args__ = NEVER_REUSE_IDS

    id: Mapped[Id]
    name: Mapped[str]
    path: Mapped[str]  # the last segment
    namespace_path: Mapped[str]
    path_key: Mapped[str] = mapped_column(unique=True)  # namespace_path/path in lower case
    description: Mapped[str] = mapped_column(default="")
    visibility: Mapped[str]
    creator_id: Mapped[int | None] = _author()
    last_experiment_iid: Mapped[int] = mapped_column(default=0)
    last_candidate_iid: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    @property
    def full_path(self) -> str:
        """The path by which clients address the project."""
        return f"{self.namespace_path}/{self.path}"


class Member(Base):
    """A user's role in a project, for good or until a date."""

    __tablename__ = "members"

    project_id: Mapped[int] = _parent("projects.id", primary_key=True)
    user_id: Mapped[int] = _parent("users.id", primary_key=True, index=True)
    access_level: Mapped[int]
    expires_at: Mapped[int | None]
    created_at: Mapped[CreatedAt]


class Experiment(Base):
    """A group of candidates; every model has one of its own, named `[model]<name>`."""

    __tablename__ = "experiments"
    __table_args__ = (UniqueConstraint("project_id", "iid"), UniqueConstraint("project_id", "name"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    project_id: Mapped[int] = _parent("projects.id")
    iid: Mapped[int]
    name: Mapped[str]
    user_id: Mapped[int | None] = _author()
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    deleted_at: Mapped[int | None]


class Model(Base):
    """A registered model."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("project_id", "name"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    project_id: Mapped[int] = _parent("projects.id")
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    user_id: Mapped[int | None] = _author()
    default_experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"), unique=True)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class ModelVersion(Base):
    """One semantic version of a model."""

    __tablename__ = "model_versions"
    __table_args__ = (
        UniqueConstraint("model_id", "version"),
        Index(None, "model_id", "major", "minor", "patch"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[Id]
    project_id: Mapped[int] = _parent("projects.id", index=True)
    model_id: Mapped[int] = _parent("models.id")
    version: Mapped[str]
    major: Mapped[int]
    minor: Mapped[int]
    patch: Mapped[int]
    prerelease: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    source: Mapped[str] = mapped_column(default="")
    run_link: Mapped[str] = mapped_column(default="")
    user_id: Mapped[int | None] = _author()
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class Candidate(Base):
    """A candidate, which is an MLflow run: `eid` is its run id, `iid` the N of `candidate:N`."""

    __tablename__ = "candidates"
    __table_args__ = (UniqueConstraint("project_id", "iid"), Index(None, "experiment_id", "id"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    project_id: Mapped[int] = _parent("projects.id")
    iid: Mapped[int]
    eid: Mapped[str] = mapped_column(unique=True)
    experiment_id: Mapped[int] = _parent("experiments.id")
    model_version_id: Mapped[int | None] = mapped_column(
        ForeignKey("model_versions.id", ondelete="SET NULL"), unique=True
    )
    user_id: Mapped[int | None] = _author()
    name: Mapped[str]
    status: Mapped[str]
    start_time: Mapped[int] = mapped_column(default=0)
    end_time: Mapped[int | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    deleted_at: Mapped[int | None]


class Package(Base):
    """The files of one version, of one candidate, or of a candidate that was promoted to a version (then of both)."""

    __tablename__ = "packages"
    __table_args__ = (Index(None, "project_id", "created_at", "id"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    project_id: Mapped[int] = _parent("projects.id")
    name: Mapped[str]
    version: Mapped[str]
    status: Mapped[str] = mapped_column(default="default")
    creator_id: Mapped[int | None] = _author()
    model_version_id: Mapped[int | None] = mapped_column(
        ForeignKey("model_versions.id", ondelete="CASCADE"), unique=True
    )
    candidate_id: Mapped[int | None] = mapped_column(ForeignKey("candidates.id", ondelete="CASCADE"), unique=True)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class Blob(Base):
    """Content that is stored once, under its digest."""

    __tablename__ = "blobs"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int]
    created_at: Mapped[CreatedAt]


class PackageFile(Base):
    """A name in a package that points at a blob; of several with one name the newest is served."""

    __tablename__ = "package_files"
    __table_args__ = (Index(None, "package_id", "name", "id"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    package_id: Mapped[int] = _parent("packages.id")
    name: Mapped[str]  # directory and file name as the client sent them, percent-decoded
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    size: Mapped[int]
    creator_id: Mapped[int | None] = _author()
    created_at: Mapped[CreatedAt]


class ExperimentTag(Base):
    """A key with a value on an experiment."""

    __tablename__ = "experiment_tags"

    experiment_id: Mapped[int] = _parent("experiments.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class ModelTag(Base):
    """A key with a value on a model."""

    __tablename__ = "model_tags"

    model_id: Mapped[int] = _parent("models.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class ModelVersionTag(Base):
    """A key with a value on a version."""

    __tablename__ = "model_version_tags"

    model_version_id: Mapped[int] = _parent("model_versions.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class CandidateTag(Base):
    """A key with a value on a candidate."""

    __tablename__ = "candidate_tags"

    candidate_id: Mapped[int] = _parent("candidates.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class CandidateParam(Base):
    """A parameter of a candidate, written once."""

    __tablename__ = "candidate_params"

    candidate_id: Mapped[int] = _parent("candidates.id", primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class CandidateMetric(Base):
    """One point of a candidate's metric."""

    __tablename__ = "candidate_metrics"
    __table_args__ = (Index(None, "candidate_id", "name", "step", "timestamp"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    candidate_id: Mapped[int] = _parent("candidates.id")
    name: Mapped[str]
    value: Mapped[float] = mapped_column(Float(53))
    is_nan: Mapped[bool] = mapped_column(default=False)  # SQLite turns NaN into NULL, so `value` is 0 then
    timestamp: Mapped[int]
    step: Mapped[int] = mapped_column(default=0)
