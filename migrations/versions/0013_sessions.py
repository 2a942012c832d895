"""Browsers' sessions, and codes that sign somebody in once.

A session itself is a token of its own kind, which versions before this one serve as any other.

Revision: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "sessions",
        sa.Column("token_id", INT64, nullable=False),
        sa.Column("address", BYTEWISE, nullable=False),
        sa.Column("user_agent", BYTEWISE, nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_sessions_token_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_sessions")),
    )
    op.create_table(
        "sign_in_codes",
        sa.Column("digest", BYTEWISE, nullable=False),
        sa.Column("user_id", INT64, nullable=False),
        sa.Column("expires_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_in_codes_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sign_in_codes")),
    )
    op.create_index(op.f("ix_sign_in_codes_user_id"), "sign_in_codes", ["user_id"])


def downgrade() -> None:
    """Take the revision back."""
    op.execute("DELETE FROM tokens WHERE kind = 'session'")
    op.drop_table("sign_in_codes")
    op.drop_table("sessions")
