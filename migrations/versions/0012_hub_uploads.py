"""What Hugging Face's clients send before they commit it, and who made a commit of which request.

Revision: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply the revision."""
    with op.batch_alter_table("commits") as commits:
        commits.add_column(sa.Column("request", BYTEWISE, nullable=True))
        commits.add_column(sa.Column("title", BYTEWISE, nullable=True))
        commits.add_column(sa.Column("message", BYTEWISE, nullable=True))
        commits.add_column(sa.Column("author_id", INT64, nullable=True))
        commits.create_foreign_key(op.f("fk_commits_author_id"), "users", ["author_id"], ["id"], ondelete="SET NULL")
        commits.create_index(op.f("ix_commits_author_id"), ["author_id"])
    _table(
        "upload_tickets",
        sa.Column("digest", BYTEWISE, nullable=False),
        sa.Column("token_id", INT64, nullable=False),
        sa.Column("sha256", BYTEWISE, nullable=True),
        sa.Column("size", INT64, nullable=True),
        sa.Column("expires_at", INT64, nullable=False),
        _reference("upload_tickets", "token_id", "tokens"),
        sa.UniqueConstraint("digest", name=op.f("uq_upload_tickets_digest")),
    )
    op.create_index(op.f("ix_upload_tickets_token_id"), "upload_tickets", ["token_id"])
    op.create_index(op.f("ix_upload_tickets_project_id_user_id"), "upload_tickets", ["project_id", "user_id"])
    op.create_index(op.f("ix_upload_tickets_expires_at"), "upload_tickets", ["expires_at"])
    _table(
        "uploaded_objects",
        sa.Column("sha256", BYTEWISE, nullable=False),
        sa.Column("size", INT64, nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.UniqueConstraint(
            "project_id", "user_id", "sha256", name=op.f("uq_uploaded_objects_project_id_user_id_sha256")
        ),
    )
    op.create_index(op.f("ix_uploaded_objects_created_at"), "uploaded_objects", ["created_at"])
    _table(
        "upload_pieces",
        sa.Column("session", BYTEWISE, nullable=False),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("sha256", BYTEWISE, nullable=False),
        sa.Column("size", INT64, nullable=False),
        sa.Column("chunks", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.UniqueConstraint(
            "project_id", "user_id", "session", "name", name=op.f("uq_upload_pieces_project_id_user_id_session_name")
        ),
    )
    op.create_index(op.f("ix_upload_pieces_created_at"), "upload_pieces", ["created_at"])


def downgrade() -> None:
    """Take the revision back."""
    for table in ("upload_pieces", "uploaded_objects", "upload_tickets"):
        op.drop_table(table)
    with op.batch_alter_table("commits") as commits:
        commits.drop_index(op.f("ix_commits_author_id"))
        commits.drop_constraint(op.f("fk_commits_author_id"), type_="foreignkey")
        for column in ("request", "title", "message", "author_id"):
            commits.drop_column(column)


def _table(name: str, *columns: sa.schema.SchemaItem) -> None:
    """A table of what a user sends to a project."""
    op.create_table(
        name,
        sa.Column("id", INT64, nullable=False),
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("user_id", INT64, nullable=False),
        *columns,
        _reference(name, "project_id", "projects"),
        _reference(name, "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f(f"ix_{name}_user_id"), name, ["user_id"])


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE")
