"""Devices that wait for their users, and passwords of administrators.

Revision: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "device_grants",
        sa.Column("digest", BYTEWISE, nullable=False),
        sa.Column("user_code", BYTEWISE, nullable=False),
        sa.Column("client", BYTEWISE, nullable=False),
        sa.Column("scopes", BYTEWISE, nullable=False),
        sa.Column("address", BYTEWISE, nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("expires_at", INT64, nullable=False),
        sa.Column("interval", INT64, nullable=False),
        sa.Column("polled_at", INT64),
        sa.Column("approved", sa.Boolean()),
        sa.Column("user_id", INT64),
        sa.Column("maker_id", INT64),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_device_grants_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_device_grants")),
        sa.UniqueConstraint("user_code", name=op.f("uq_device_grants_user_code")),
    )
    op.create_index(op.f("ix_device_grants_expires_at"), "device_grants", ["expires_at"])
    op.create_index(op.f("ix_device_grants_user_id"), "device_grants", ["user_id"])
    op.create_table(
        "passwords",
        sa.Column("user_id", INT64, nullable=False),
        sa.Column("digest", BYTEWISE, nullable=False),
        sa.Column("changed_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_passwords_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_passwords")),
    )


def downgrade() -> None:
    """Take the revision back."""
    op.drop_table("passwords")
    op.drop_table("device_grants")
