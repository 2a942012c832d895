"""The commits that Hugging Face's clients were told, each with the files that it had.

Revision: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "commits",
        sa.Column("id", INT64, nullable=False),
        sa.Column("oid", BYTEWISE, nullable=False),
        sa.Column("model_version_id", INT64, nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("size", INT64, nullable=False),
        sa.Column("changed_at", INT64, nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name=op.f("fk_commits_model_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commits")),
        sa.UniqueConstraint("oid", name=op.f("uq_commits_oid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_commits_model_version_id_id"), "commits", ["model_version_id", "id"])


def downgrade() -> None:
    """Take the revision back."""
    op.drop_table("commits")
