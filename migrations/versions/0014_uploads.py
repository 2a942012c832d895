"""Uploads that go on after an interruption.

Revision: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "uploads",
        sa.Column("id", INT64, nullable=False),
        sa.Column("uid", BYTEWISE, nullable=False),
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("owner_kind", BYTEWISE, nullable=False),
        sa.Column("owner_key", BYTEWISE, nullable=False),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("user_id", INT64, nullable=False),
        sa.Column("token_id", INT64, nullable=False),
        sa.Column("state", BYTEWISE, nullable=False),
        sa.Column("length", INT64, nullable=True),
        sa.Column("size", INT64, nullable=False),
        sa.Column("generation", INT64, nullable=False),
        sa.Column("writer", INT64, nullable=False),
        sa.Column("hash_state", sa.LargeBinary(), nullable=False),
        sa.Column("place", BYTEWISE, nullable=False),
        sa.Column("sha256", BYTEWISE, nullable=True),
        sa.Column("terms", BYTEWISE, nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("expires_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_uploads_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_uploads_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.UniqueConstraint("uid", name=op.f("uq_uploads_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_uploads_project_id_state"), "uploads", ["project_id", "state"])
    op.create_index(op.f("ix_uploads_token_id_state"), "uploads", ["token_id", "state"])
    op.create_index(op.f("ix_uploads_state_expires_at"), "uploads", ["state", "expires_at"])
    op.create_index(op.f("ix_uploads_user_id"), "uploads", ["user_id"])
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", INT64, nullable=False),
        sa.Column("number", INT64, nullable=False),
        sa.Column("size", INT64, nullable=False),
        sa.Column("etag", BYTEWISE, nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["uploads.id"], name=op.f("fk_upload_parts_upload_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_upload_parts")),
    )
    op.create_index(op.f("ix_upload_parts_etag"), "upload_parts", ["etag"])


def downgrade() -> None:
    """Take the revision back."""
    op.drop_table("upload_parts")
    op.drop_table("uploads")
