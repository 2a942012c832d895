"""When somebody last used any token, found without looking at all of theirs.

Revision: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAME = "ix_tokens_user_id_last_used_at"


def upgrade() -> None:
    """Apply the revision."""
    op.create_index(op.f(NAME), "tokens", ["user_id", "last_used_at"])


def downgrade() -> None:
    """Take the revision back."""
    op.drop_index(op.f(NAME), "tokens")
