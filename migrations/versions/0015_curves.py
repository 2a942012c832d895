"""An index of metrics that has their values too, so that nothing else is read for curves.

Revision: 0015
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLE = "candidate_metrics"
BEFORE = ("candidate_id", "name", "step", "timestamp")


def upgrade() -> None:
    """Apply the revision."""
    op.create_index(op.f("ix_candidate_metrics_curves"), TABLE, [*BEFORE, "value", "is_nan"])
    op.drop_index(op.f("ix_candidate_metrics_" + "_".join(BEFORE)), TABLE)


def downgrade() -> None:
    """Undo the revision."""
    op.create_index(op.f("ix_candidate_metrics_" + "_".join(BEFORE)), TABLE, list(BEFORE))
    op.drop_index(op.f("ix_candidate_metrics_curves"), TABLE)
