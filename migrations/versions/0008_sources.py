"""Whose files a version follows, and where the files lie that are not on this server.

Sources of one segment are written as the server gives them out now: MLflow's clients could not take them apart.

Revision: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
FOLLOWED = ("followed_candidate_id", "followed_model_id")
TEXTS = ("followed_directory", "location")
WITH_PROJECT = """
    UPDATE model_versions
    SET source = 'mlflow-artifacts:/projects/' || project_id || '/' || substr(source, length('mlflow-artifacts:/') + 1)
    WHERE source LIKE 'mlflow-artifacts:/_%' AND source NOT LIKE 'mlflow-artifacts:/%/%'
"""
WITHOUT = """
    UPDATE model_versions
    SET source = 'mlflow-artifacts:/' || substr(source, length('mlflow-artifacts:/projects/' || project_id || '/') + 1)
    WHERE source LIKE 'mlflow-artifacts:/projects/' || project_id || '/%'
"""


def upgrade() -> None:
    """Apply the revision."""
    for column in TEXTS:
        op.add_column("model_versions", sa.Column(column, TEXT, nullable=False, server_default=""))
    for column in FOLLOWED:
        op.add_column("model_versions", sa.Column(column, INT64))
        index = [column, "followed_directory"]
        op.create_index(op.f(f"ix_model_versions_{'_'.join(index)}"), "model_versions", index)
    op.execute(WITH_PROJECT)


def downgrade() -> None:
    """Take the revision back; versions keep the files that they have, and follow nothing."""
    op.execute(WITHOUT)
    for column in reversed(FOLLOWED):
        op.drop_index(op.f(f"ix_model_versions_{column}_followed_directory"), "model_versions")
        op.drop_column("model_versions", column)
    for column in reversed(TEXTS):
        op.drop_column("model_versions", column)
