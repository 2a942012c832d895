"""The audit trail, when tokens and packages were last used, and how the last upkeep went.

Revision: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
LAST_USED = (("tokens", "last_used_at"), ("packages", "last_downloaded_at"))


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "audit_events",
        sa.Column("id", INT64, nullable=False),
        sa.Column("author_id", INT64, nullable=False),
        sa.Column("entity_type", TEXT, nullable=False),
        sa.Column("entity_id", INT64, nullable=False),
        sa.Column("event_name", TEXT, nullable=False),
        sa.Column("details", TEXT, nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        sqlite_autoincrement=True,
    )
    for columns in (["entity_type", "entity_id", "id"], ["created_at"]):
        op.create_index(op.f(f"ix_audit_events_{'_'.join(columns)}"), "audit_events", columns)
    op.create_table(
        "upkeep_runs",
        sa.Column("task", TEXT, nullable=False),
        sa.Column("started_at", INT64, nullable=False),
        sa.Column("finished_at", INT64, nullable=False),
        sa.Column("found", INT64, nullable=False),
        sa.Column("size", INT64, nullable=False),
        sa.Column("position", TEXT, nullable=False),
        sa.Column("completed_at", INT64, nullable=True),
        sa.PrimaryKeyConstraint("task", name=op.f("pk_upkeep_runs")),
    )
    for table, column in LAST_USED:
        op.add_column(table, sa.Column(column, INT64, nullable=True))


def downgrade() -> None:
    """Take the revision back; what only it could hold is lost."""
    for table, column in reversed(LAST_USED):
        op.drop_column(table, column)
    op.drop_table("upkeep_runs")
    op.drop_table("audit_events")
