"""The secret of a provider's client, where it is in no file. Versions before this one do without it, as for a client
that has none.

Revision: 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply the revision."""
    op.add_column("sign_on_providers", sa.Column("secret", BYTEWISE))


def downgrade() -> None:
    """Take the revision back."""
    op.drop_column("sign_on_providers", "secret")
