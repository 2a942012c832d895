"""Single sign-on: providers, what their groups give, who users are to them, and sign-ins on their way.

A role that a group gave is known by its provider; versions before this one leave that empty, as of a role that somebody
gave.

Revision: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply the revision."""
    op.add_column("members", sa.Column("provider_id", INT64))
    op.create_table(
        "sign_on_providers",
        sa.Column("id", INT64, nullable=False),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("label", BYTEWISE, nullable=False),
        sa.Column("issuer_id", INT64, nullable=False),
        sa.Column("client_id", BYTEWISE, nullable=False),
        sa.Column("secret_file", BYTEWISE, nullable=False),
        sa.Column("scopes", BYTEWISE, nullable=False),
        sa.Column("provision", BYTEWISE, nullable=False),
        sa.Column("groups_claim", BYTEWISE, nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        _reference("sign_on_providers", "issuer_id", "issuers.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_on_providers")),
        sa.UniqueConstraint("name", name=op.f("uq_sign_on_providers_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sign_on_providers_issuer_id"), "sign_on_providers", ["issuer_id"])
    op.create_table(
        "provider_groups",
        sa.Column("id", INT64, nullable=False),
        sa.Column("provider_id", INT64, nullable=False),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("path", BYTEWISE, nullable=False),
        sa.Column("access_level", INT64, nullable=False),
        _reference("provider_groups", "provider_id", "sign_on_providers.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_groups")),
        sa.UniqueConstraint("provider_id", "name", "path", name=op.f("uq_provider_groups_provider_id_name_path")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "user_identities",
        sa.Column("id", INT64, nullable=False),
        sa.Column("user_id", INT64, nullable=False),
        sa.Column("issuer", BYTEWISE, nullable=False),
        sa.Column("subject", BYTEWISE, nullable=False),
        sa.Column("provisioned", sa.Boolean(), nullable=False),
        sa.Column("made_admin", sa.Boolean(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        _reference("user_identities", "user_id", "users.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_identities")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_user_identities_issuer_subject")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_user_identities_user_id"), "user_identities", ["user_id"])
    op.create_table(
        "sign_on_states",
        sa.Column("digest", BYTEWISE, nullable=False),
        sa.Column("browser", BYTEWISE, nullable=False),
        sa.Column("provider_id", INT64, nullable=False),
        sa.Column("return_to", BYTEWISE, nullable=False),
        sa.Column("user_id", INT64),
        sa.Column("expires_at", INT64, nullable=False),
        _reference("sign_on_states", "provider_id", "sign_on_providers.id"),
        _reference("sign_on_states", "user_id", "users.id"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sign_on_states")),
    )
    for column in ("provider_id", "user_id", "expires_at"):
        op.create_index(op.f(f"ix_sign_on_states_{column}"), "sign_on_states", [column])
    op.create_table(
        "sign_on_sessions",
        sa.Column("token_id", INT64, nullable=False),
        sa.Column("provider_id", INT64, nullable=False),
        sa.Column("id_token", BYTEWISE, nullable=False),
        _reference("sign_on_sessions", "token_id", "tokens.id"),
        _reference("sign_on_sessions", "provider_id", "sign_on_providers.id"),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_sign_on_sessions")),
    )
    op.create_index(op.f("ix_sign_on_sessions_provider_id"), "sign_on_sessions", ["provider_id"])


def downgrade() -> None:
    """Take the revision back."""
    for name in ("sign_on_sessions", "sign_on_states", "user_identities", "provider_groups", "sign_on_providers"):
        op.drop_table(name)
    op.drop_column("members", "provider_id")


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE")
