"""With which token a job token was made, so that it ends with that one.

Revision: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the revision; job tokens that are there already live on for a day at most."""
    op.add_column("tokens", sa.Column("maker_id", INT64))


def downgrade() -> None:
    """Take the revision back."""
    op.drop_column("tokens", "maker_id")
