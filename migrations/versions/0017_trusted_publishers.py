"""Publishers whom projects trust, the jobs that tokens and versions come from, and id tokens that were exchanged.

Revision: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "trusted_publishers",
        sa.Column("id", INT64, nullable=False),
        _reference("trusted_publishers", "project_id", "projects.id"),
        _reference("trusted_publishers", "issuer_id", "issuers.id"),
        _reference("trusted_publishers", "user_id", "users.id"),
        sa.Column("creator_id", INT64, nullable=True),
        *(_text(name) for name in ("name", "subject", "claims", "ref")),
        sa.Column("ref_protected", sa.Boolean(), nullable=False),
        *(_text(name) for name in ("environment", "events")),
        sa.Column("access_level", INT64, nullable=False),
        sa.Column("lifetime", INT64, nullable=False),
        _text("source"),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("last_used_at", INT64, nullable=True),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_trusted_publishers_creator_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trusted_publishers")),
        sqlite_autoincrement=True,
    )
    for column in ("project_id", "user_id", "creator_id"):
        op.create_index(op.f(f"ix_trusted_publishers_{column}"), "trusted_publishers", [column])
    op.create_index(op.f("ix_trusted_publishers_issuer_id_subject"), "trusted_publishers", ["issuer_id", "subject"])
    op.create_table(
        "token_origins",
        _reference("token_origins", "token_id", "tokens.id"),
        sa.Column("publisher_id", INT64, nullable=True),
        _text("facts"),
        sa.ForeignKeyConstraint(
            ["publisher_id"], ["trusted_publishers.id"], name=op.f("fk_token_origins_publisher_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_token_origins")),
    )
    op.create_index(op.f("ix_token_origins_publisher_id"), "token_origins", ["publisher_id"])
    op.create_table(
        "version_origins",
        _reference("version_origins", "model_version_id", "model_versions.id"),
        _text("facts"),
        sa.PrimaryKeyConstraint("model_version_id", name=op.f("pk_version_origins")),
    )
    op.create_table(
        "used_tokens",
        _reference("used_tokens", "issuer_id", "issuers.id"),
        _text("jti"),
        sa.Column("expires_at", INT64, nullable=False),
        sa.PrimaryKeyConstraint("issuer_id", "jti", name=op.f("pk_used_tokens")),
    )
    op.create_index(op.f("ix_used_tokens_expires_at"), "used_tokens", ["expires_at"])


def downgrade() -> None:
    """Take the revision back."""
    for table in ("used_tokens", "version_origins", "token_origins", "trusted_publishers"):
        op.drop_table(table)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, BYTEWISE, nullable=False)


def _reference(table: str, name: str, target: str) -> sa.Column[int]:
    """A reference that dies with its parent."""
    return sa.Column(
        name, INT64, sa.ForeignKey(target, name=op.f(f"fk_{table}_{name}"), ondelete="CASCADE"), nullable=False
    )
