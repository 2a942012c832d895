"""Which blobs are known to be damaged.

Revision: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the revision."""
    op.add_column("blobs", sa.Column("damaged_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))


def downgrade() -> None:
    """Take the revision back; what is damaged is found again by `check --read`."""
    op.drop_column("blobs", "damaged_at")
