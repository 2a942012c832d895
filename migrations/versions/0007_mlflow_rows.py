"""Rows as MLflow has them: a default experiment in each project, datasets in their order, runs by their ids and users.

Revision: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")

ADOPT = """
    UPDATE projects SET default_experiment_id = (
        SELECT id FROM experiments WHERE experiments.project_id = projects.id AND experiments.name = 'Default'
    ) WHERE default_experiment_id IS NULL
"""
ADD = """
    INSERT INTO experiments (project_id, iid, name, created_at, updated_at)
    SELECT id, 0, 'Default', created_at, created_at FROM projects WHERE default_experiment_id IS NULL
"""


def upgrade() -> None:
    """Apply the revision. An experiment that was the default one by its name keeps its id."""
    op.add_column("projects", sa.Column("default_experiment_id", INT64))
    for statement in (ADOPT, ADD, ADOPT):
        op.execute(statement)
    op.add_column("candidates", sa.Column("named_user", TEXT))
    op.add_column("candidate_datasets", sa.Column("place", INT64, nullable=False, server_default="0"))
    name, latest_first = "ix_candidates_experiment_id_start_time_eid", sa.text("start_time DESC")
    op.create_index(op.f(name), "candidates", ["experiment_id", latest_first, "eid"])
    op.drop_index(op.f("ix_candidates_experiment_id_start_time_id"), "candidates")


def downgrade() -> None:
    """Take the revision back; default experiments that were renamed are any others then."""
    index = ["experiment_id", "start_time", "id"]
    op.create_index(op.f("ix_candidates_experiment_id_start_time_id"), "candidates", index)
    op.drop_index(op.f("ix_candidates_experiment_id_start_time_eid"), "candidates")
    op.drop_column("candidate_datasets", "place")
    op.drop_column("candidates", "named_user")
    op.drop_column("projects", "default_experiment_id")
