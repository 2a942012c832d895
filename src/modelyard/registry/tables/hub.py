"""What Hugging Face's clients have been told, and may come back to."""

from __future__ import annotations

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.registry.tables.base import NEVER_REUSE_IDS, Base, CreatedAt, Id, parent


class Commit(Base):
    """The files of a version at one time, under the id that a client was told; see `services.hub.commits`."""

    __tablename__ = "commits"
    __table_args__ = (Index(None, "model_version_id", "id"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    oid: Mapped[str] = mapped_column(unique=True)  # 40 hex digits
    model_version_id: Mapped[int] = parent("model_versions.id")
    manifest: Mapped[bytes] = mapped_column(LargeBinary)  # deflated
    size: Mapped[int]  # bytes of the manifest as it is kept
    changed_at: Mapped[int]  # when the newest of its files came
    created_at: Mapped[CreatedAt]  # when it was told first
