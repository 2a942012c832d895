"""Issuers of id tokens.

Revision: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "issuers",
        sa.Column("id", INT64, nullable=False),
        *(
            sa.Column(name, BYTEWISE, nullable=False)
            for name in ("name", "kind", "url", "audience", "algorithms", "jwks", "jwks_uri", "ca")
        ),
        *(
            sa.Column(name, sa.Boolean(), nullable=False)
            for name in ("private", "jobs", "single", "direct", "job_tokens")
        ),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("updated_at", INT64, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issuers")),
        sa.UniqueConstraint("name", name=op.f("uq_issuers_name")),
        sa.UniqueConstraint("url", name=op.f("uq_issuers_url")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Take the revision back."""
    op.drop_table("issuers")
