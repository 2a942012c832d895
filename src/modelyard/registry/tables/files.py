"""Packages, the files in them, and the content that these point at."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.registry.tables.base import NEVER_REUSE_IDS, Base, CreatedAt, Id, UpdatedAt, author, parent


class Package(Base):
    """The files of a version, of a candidate, of a logged model, or of a promoted candidate and its version."""

    __tablename__ = "packages"
    __table_args__ = (
        Index(None, "project_id", "created_at", "id"),
        Index(None, "logged_model_id", unique=True),
        NEVER_REUSE_IDS,
    )

    id: Mapped[Id]
    project_id: Mapped[int] = parent("projects.id")
    name: Mapped[str]
    version: Mapped[str]
    status: Mapped[str] = mapped_column(default="default")
    creator_id: Mapped[int | None] = author()
    model_version_id: Mapped[int | None] = mapped_column(
        ForeignKey("model_versions.id", ondelete="CASCADE"), unique=True
    )
    candidate_id: Mapped[int | None] = mapped_column(ForeignKey("candidates.id", ondelete="CASCADE"), unique=True)
    logged_model_id: Mapped[int | None] = mapped_column(ForeignKey("logged_models.id", ondelete="CASCADE"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    last_downloaded_at: Mapped[int | None]


class PackageFile(Base):
    """A name in a package that points at a blob; of several with one name the newest is served."""

    __tablename__ = "package_files"
    __table_args__ = (Index(None, "package_id", "name", "id"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    package_id: Mapped[int] = parent("packages.id")
    name: Mapped[str]  # directory and file name as the client sent them, percent-decoded
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    size: Mapped[int]
    creator_id: Mapped[int | None] = author()
    created_at: Mapped[CreatedAt]


class Blob(Base):
    """Content that is stored once, under its digest."""

    __tablename__ = "blobs"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int]
    created_at: Mapped[CreatedAt]
    damaged_at: Mapped[int | None]  # when `check --read` found other bytes; none since somebody sent the right ones
