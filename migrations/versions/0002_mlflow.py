"""All of MLflow: logged models, aliases, stages, datasets, and searches that an index answers.

Revision: 0002
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
REFERENCES = (  # table, column, target, what becomes of the row when the target goes
    ("candidate_metrics", "logged_model_id", "logged_models", "SET NULL"),
    ("model_versions", "logged_model_id", "logged_models", "SET NULL"),
    ("packages", "logged_model_id", "logged_models", "CASCADE"),
)
VALUES = ("candidate_params", "candidate_tags")


def upgrade() -> None:
    """Apply the revision."""
    _create_logged_models()
    _create_details()
    for table, column, target, action in REFERENCES:
        with _altered(table) as batch:
            batch.add_column(sa.Column(column, INT64))
            batch.create_foreign_key(op.f(f"fk_{table}_{column}"), target, [column], ["id"], ondelete=action)
            batch.create_index(op.f(f"ix_{table}_{column}"), [column], unique=table == "packages")
    op.add_column("candidate_metrics", sa.Column("dataset_name", TEXT))
    op.add_column("candidate_metrics", sa.Column("dataset_digest", TEXT))
    op.add_column("model_versions", sa.Column("stage", TEXT, nullable=False, server_default="None"))
    op.add_column("model_versions", sa.Column("run_id", TEXT, nullable=False, server_default=""))
    own_run = "SELECT eid FROM candidates WHERE candidates.model_version_id = model_versions.id"
    op.execute(f"UPDATE model_versions SET run_id = coalesce(({own_run}), '')")  # noqa: S608 - names of this file
    op.create_index(op.f("ix_model_versions_run_id"), "model_versions", ["run_id"])
    for table in VALUES:
        _rebuild_values(table, searchable=True)
    index = ["experiment_id", "start_time", "id"]
    op.create_index(op.f("ix_candidates_experiment_id_start_time_id"), "candidates", index)
    op.drop_index(op.f("ix_candidates_experiment_id_id"), "candidates")


def downgrade() -> None:
    """Take the revision back; what only it could hold is lost."""
    op.create_index(op.f("ix_candidates_experiment_id_id"), "candidates", ["experiment_id", "id"])
    op.drop_index(op.f("ix_candidates_experiment_id_start_time_id"), "candidates")
    for table in VALUES:
        _rebuild_values(table, searchable=False)
    op.drop_index(op.f("ix_model_versions_run_id"), "model_versions")
    for table, column in (
        ("model_versions", "run_id"),
        ("model_versions", "stage"),
        ("candidate_metrics", "dataset_digest"),
        ("candidate_metrics", "dataset_name"),
    ):
        op.drop_column(table, column)
    for table, column, _target, _action in reversed(REFERENCES):
        with _altered(table) as batch:
            batch.drop_index(op.f(f"ix_{table}_{column}"))
            batch.drop_constraint(op.f(f"fk_{table}_{column}"), type_="foreignkey")
            batch.drop_column(column)
    for table in (
        "candidate_models",
        "candidate_datasets",
        "candidate_latest_metrics",
        "model_aliases",
        "logged_model_params",
        "logged_model_tags",
        "logged_models",
    ):
        op.drop_table(table)


def _reference(table: str, column: str, target: str, action: str = "CASCADE") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"), ondelete=action)


@contextmanager
def _altered(table: str) -> Iterator[BatchOperations]:
    """A table to be altered; where that means a copy, it goes on counting ids from where it was."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    read = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :table")
    last = op.get_bind().scalar(read, {"table": table}) if sqlite else None
    with op.batch_alter_table(table, table_kwargs={"sqlite_autoincrement": True}) as batch:
        yield batch
    if last is not None:
        op.get_bind().execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": table})
        write = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)")
        op.get_bind().execute(write, {"table": table, "last": last})


def _create_logged_models() -> None:
    op.create_table(
        "logged_models",
        sa.Column("id", INT64, nullable=False),
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("experiment_id", INT64, nullable=False),
        sa.Column("eid", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("model_type", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("status_message", TEXT, nullable=False),
        sa.Column("source_run_id", TEXT, nullable=False),
        sa.Column("user_id", INT64, nullable=True),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("updated_at", INT64, nullable=False),
        _reference("logged_models", "project_id", "projects"),
        _reference("logged_models", "experiment_id", "experiments"),
        _reference("logged_models", "user_id", "users", "SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logged_models")),
        sa.UniqueConstraint("eid", name=op.f("uq_logged_models_eid")),
        sqlite_autoincrement=True,
    )
    for columns in (["project_id"], ["source_run_id"], ["user_id"], ["experiment_id", "created_at", "id"]):
        op.create_index(op.f(f"ix_logged_models_{'_'.join(columns)}"), "logged_models", columns)
    for table in ("logged_model_tags", "logged_model_params"):
        op.create_table(
            table,
            sa.Column("logged_model_id", INT64, nullable=False),
            sa.Column("key", TEXT, nullable=False),
            sa.Column("value", TEXT, nullable=False),
            _reference(table, "logged_model_id", "logged_models"),
            sa.PrimaryKeyConstraint("logged_model_id", "key", name=op.f(f"pk_{table}")),
        )


def _create_details() -> None:
    op.create_table(
        "model_aliases",
        sa.Column("model_id", INT64, nullable=False),
        sa.Column("alias", TEXT, nullable=False),
        sa.Column("model_version_id", INT64, nullable=False),
        _reference("model_aliases", "model_id", "models"),
        _reference("model_aliases", "model_version_id", "model_versions"),
        sa.PrimaryKeyConstraint("model_id", "alias", name=op.f("pk_model_aliases")),
    )
    op.create_index(op.f("ix_model_aliases_model_version_id"), "model_aliases", ["model_version_id"])
    op.create_table(
        "candidate_latest_metrics",
        sa.Column("candidate_id", INT64, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("experiment_id", INT64, nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=True),
        sa.Column("timestamp", INT64, nullable=False),
        sa.Column("step", INT64, nullable=False),
        _reference("candidate_latest_metrics", "candidate_id", "candidates"),
        sa.PrimaryKeyConstraint("candidate_id", "name", name=op.f("pk_candidate_latest_metrics")),
        sqlite_with_rowid=False,
    )
    columns = ["experiment_id", "name", "value", "candidate_id"]
    op.create_index(op.f(f"ix_candidate_latest_metrics_{'_'.join(columns)}"), "candidate_latest_metrics", columns)
    op.create_table(
        "candidate_datasets",
        sa.Column("candidate_id", INT64, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("source_type", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("schema", TEXT, nullable=True),
        sa.Column("profile", TEXT, nullable=True),
        sa.Column("context", TEXT, nullable=True),
        sa.Column("tags", TEXT, nullable=False),
        _reference("candidate_datasets", "candidate_id", "candidates"),
        sa.PrimaryKeyConstraint("candidate_id", "name", "digest", name=op.f("pk_candidate_datasets")),
    )
    for column in ("name", "digest"):
        columns = [column, "candidate_id"]
        op.create_index(op.f(f"ix_candidate_datasets_{'_'.join(columns)}"), "candidate_datasets", columns)
    op.create_table(
        "candidate_models",
        sa.Column("candidate_id", INT64, nullable=False),
        sa.Column("logged_model_id", INT64, nullable=False),
        sa.Column("output", sa.Boolean(), nullable=False),
        sa.Column("step", INT64, nullable=False),
        _reference("candidate_models", "candidate_id", "candidates"),
        _reference("candidate_models", "logged_model_id", "logged_models"),
        sa.PrimaryKeyConstraint("candidate_id", "logged_model_id", "output", name=op.f("pk_candidate_models")),
    )
    op.create_index(op.f("ix_candidate_models_logged_model_id"), "candidate_models", ["logged_model_id"])


def _rebuild_values(table: str, *, searchable: bool) -> None:
    """Make a table of keys and values anew; nothing refers to it, so its rows can wait aside meanwhile."""
    op.execute(f"CREATE TEMPORARY TABLE old_{table} AS SELECT * FROM {table}")  # noqa: S608 - names of this file
    op.drop_table(table)
    added = (sa.Column("experiment_id", INT64, nullable=False), sa.Column("head", TEXT, nullable=False))
    op.create_table(
        table,
        sa.Column("candidate_id", INT64, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        *(added if searchable else ()),
        _reference(table, "candidate_id", "candidates"),
        sa.PrimaryKeyConstraint("candidate_id", "key", name=op.f(f"pk_{table}")),
        sqlite_with_rowid=not searchable,
    )
    columns = "candidate_id, key, value"
    if searchable:
        op.execute(
            f"INSERT INTO {table} ({columns}, experiment_id, head)"  # noqa: S608
            " SELECT old.candidate_id, old.key, old.value, candidates.experiment_id, substr(old.value, 1, 64)"
            f" FROM old_{table} AS old JOIN candidates ON candidates.id = old.candidate_id"
        )
        index = ["experiment_id", "key", "head", "candidate_id"]
        op.create_index(op.f(f"ix_{table}_{'_'.join(index)}"), table, index)
    else:
        op.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM old_{table}")  # noqa: S608
    op.execute(f"DROP TABLE old_{table}")
