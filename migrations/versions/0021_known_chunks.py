"""Chunks of files that xet need not send again.

Revision: 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply the revision."""
    with op.batch_alter_table("upload_pieces") as pieces:
        pieces.add_column(sa.Column("hashes", sa.LargeBinary(), nullable=True))
    op.create_table(
        "known_chunks",
        sa.Column("id", INT64, nullable=False),
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("sha256", BYTEWISE, nullable=False),
        sa.Column("number", INT64, nullable=False),
        sa.Column("offset", INT64, nullable=False),
        sa.Column("size", INT64, nullable=False),
        sa.Column("records", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_known_chunks_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_chunks")),
        sa.UniqueConstraint("project_id", "sha256", "number", name=op.f("uq_known_chunks_project_id_sha256_number")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_known_chunks_sha256"), "known_chunks", ["sha256"])
    op.create_table(
        "chunk_marks",
        sa.Column("hash", BYTEWISE, nullable=False),
        sa.Column("known_id", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["known_id"], ["known_chunks.id"], name=op.f("fk_chunk_marks_known_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", "known_id", name=op.f("pk_chunk_marks")),
    )
    op.create_index(op.f("ix_chunk_marks_known_id"), "chunk_marks", ["known_id"])


def downgrade() -> None:
    """Take the revision back."""
    op.drop_table("chunk_marks")
    op.drop_table("known_chunks")
    with op.batch_alter_table("upload_pieces") as pieces:
        pieces.drop_column("hashes")
