"""What was changed by whom, and how the last upkeep went. Nothing here refers to another table."""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.registry.tables.base import NEVER_REUSE_IDS, Base, CreatedAt, Id


class AuditEvent(Base):
    """One change. It outlives all that it tells of, so it keeps names besides ids."""

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "entity_type", "entity_id", "id"), Index(None, "created_at"), NEVER_REUSE_IDS)

    id: Mapped[Id]
    author_id: Mapped[int]  # -1 for nobody who has an account
    entity_type: Mapped[str]
    entity_id: Mapped[int]
    event_name: Mapped[str]
    details: Mapped[str]  # JSON
    created_at: Mapped[CreatedAt]


class UpkeepRun(Base):
    """The last run of a task of upkeep."""

    __tablename__ = "upkeep_runs"

    task: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[int]
    finished_at: Mapped[int]
    found: Mapped[int]  # faults, or things removed
    size: Mapped[int]  # bytes read, or freed
    position: Mapped[str]  # the digest after which the next run goes on; empty where this one came to the end
    completed_at: Mapped[int | None]  # when a run last came to the end
