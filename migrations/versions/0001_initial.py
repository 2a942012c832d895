"""The first schema.

Revision: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "blobs",
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("size", INT64, nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blobs")),
    )
    op.create_table(
        "users",
        sa.Column("id", INT64, nullable=False),
        sa.Column("username", TEXT, nullable=False),
        sa.Column("username_key", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("email", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("bot", sa.Boolean(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("username_key", name=op.f("uq_users_username_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "projects",
        sa.Column("id", INT64, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("namespace_path", TEXT, nullable=False),
        sa.Column("path_key", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("visibility", TEXT, nullable=False),
        sa.Column("creator_id", INT64, nullable=True),
        sa.Column("last_experiment_iid", INT64, nullable=False),
        sa.Column("last_candidate_iid", INT64, nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("updated_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(["creator_id"], ["users.id"], name=op.f("fk_projects_creator_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("path_key", name=op.f("uq_projects_path_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_projects_creator_id"), "projects", ["creator_id"], unique=False)

    op.create_table(
        "experiments",
        sa.Column("id", INT64, nullable=False),
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("iid", INT64, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("user_id", INT64, nullable=True),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("updated_at", INT64, nullable=False),
        sa.Column("deleted_at", INT64, nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_experiments_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_experiments_user_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("project_id", "iid", name=op.f("uq_experiments_project_id_iid")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_experiments_project_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_experiments_user_id"), "experiments", ["user_id"], unique=False)

    op.create_table(
        "members",
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("user_id", INT64, nullable=False),
        sa.Column("access_level", INT64, nullable=False),
        sa.Column("expires_at", INT64, nullable=True),
        sa.Column("created_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_members_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_members_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "user_id", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_user_id"), "members", ["user_id"], unique=False)

    op.create_table(
        "tokens",
        sa.Column("id", INT64, nullable=False),
        sa.Column("user_id", INT64, nullable=False),
        sa.Column("project_id", INT64, nullable=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("scopes", TEXT, nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("expires_at", INT64, nullable=True),
        sa.Column("revoked_at", INT64, nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_tokens_project_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tokens_project_id"), "tokens", ["project_id"], unique=False)
    op.create_index(op.f("ix_tokens_user_id"), "tokens", ["user_id"], unique=False)

    op.create_table(
        "experiment_tags",
        sa.Column("experiment_id", INT64, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_tags_experiment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("experiment_id", "key", name=op.f("pk_experiment_tags")),
    )
    op.create_table(
        "models",
        sa.Column("id", INT64, nullable=False),
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("user_id", INT64, nullable=True),
        sa.Column("default_experiment_id", INT64, nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("updated_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["default_experiment_id"], ["experiments.id"], name=op.f("fk_models_default_experiment_id")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_models_project_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_models_user_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("default_experiment_id", name=op.f("uq_models_default_experiment_id")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_models_project_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_models_user_id"), "models", ["user_id"], unique=False)

    op.create_table(
        "model_tags",
        sa.Column("model_id", INT64, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_model_tags_model_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_id", "key", name=op.f("pk_model_tags")),
    )
    op.create_table(
        "model_versions",
        sa.Column("id", INT64, nullable=False),
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("model_id", INT64, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("major", INT64, nullable=False),
        sa.Column("minor", INT64, nullable=False),
        sa.Column("patch", INT64, nullable=False),
        sa.Column("prerelease", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("run_link", TEXT, nullable=False),
        sa.Column("user_id", INT64, nullable=True),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("updated_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_model_versions_model_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_model_versions_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_model_versions_user_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_versions")),
        sa.UniqueConstraint("model_id", "version", name=op.f("uq_model_versions_model_id_version")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_model_versions_model_id_major_minor_patch"),
        "model_versions",
        ["model_id", "major", "minor", "patch"],
        unique=False,
    )
    op.create_index(op.f("ix_model_versions_project_id"), "model_versions", ["project_id"], unique=False)
    op.create_index(op.f("ix_model_versions_user_id"), "model_versions", ["user_id"], unique=False)

    op.create_table(
        "candidates",
        sa.Column("id", INT64, nullable=False),
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("iid", INT64, nullable=False),
        sa.Column("eid", TEXT, nullable=False),
        sa.Column("experiment_id", INT64, nullable=False),
        sa.Column("model_version_id", INT64, nullable=True),
        sa.Column("user_id", INT64, nullable=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("start_time", INT64, nullable=False),
        sa.Column("end_time", INT64, nullable=True),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("updated_at", INT64, nullable=False),
        sa.Column("deleted_at", INT64, nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_candidates_experiment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name=op.f("fk_candidates_model_version_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_candidates_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_candidates_user_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidates")),
        sa.UniqueConstraint("eid", name=op.f("uq_candidates_eid")),
        sa.UniqueConstraint("model_version_id", name=op.f("uq_candidates_model_version_id")),
        sa.UniqueConstraint("project_id", "iid", name=op.f("uq_candidates_project_id_iid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_candidates_experiment_id_id"), "candidates", ["experiment_id", "id"], unique=False)
    op.create_index(op.f("ix_candidates_user_id"), "candidates", ["user_id"], unique=False)

    op.create_table(
        "model_version_tags",
        sa.Column("model_version_id", INT64, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name=op.f("fk_model_version_tags_model_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_version_id", "key", name=op.f("pk_model_version_tags")),
    )
    op.create_table(
        "candidate_metrics",
        sa.Column("id", INT64, nullable=False),
        sa.Column("candidate_id", INT64, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=False),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.Column("timestamp", INT64, nullable=False),
        sa.Column("step", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["candidate_id"], ["candidates.id"], name=op.f("fk_candidate_metrics_candidate_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidate_metrics")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_candidate_metrics_candidate_id_name_step_timestamp"),
        "candidate_metrics",
        ["candidate_id", "name", "step", "timestamp"],
        unique=False,
    )

    op.create_table(
        "candidate_params",
        sa.Column("candidate_id", INT64, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["candidate_id"], ["candidates.id"], name=op.f("fk_candidate_params_candidate_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("candidate_id", "key", name=op.f("pk_candidate_params")),
    )
    op.create_table(
        "candidate_tags",
        sa.Column("candidate_id", INT64, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["candidate_id"], ["candidates.id"], name=op.f("fk_candidate_tags_candidate_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("candidate_id", "key", name=op.f("pk_candidate_tags")),
    )
    op.create_table(
        "packages",
        sa.Column("id", INT64, nullable=False),
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("creator_id", INT64, nullable=True),
        sa.Column("model_version_id", INT64, nullable=True),
        sa.Column("candidate_id", INT64, nullable=True),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("updated_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["candidate_id"], ["candidates.id"], name=op.f("fk_packages_candidate_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["creator_id"], ["users.id"], name=op.f("fk_packages_creator_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["model_version_id"], ["model_versions.id"], name=op.f("fk_packages_model_version_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_packages_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packages")),
        sa.UniqueConstraint("candidate_id", name=op.f("uq_packages_candidate_id")),
        sa.UniqueConstraint("model_version_id", name=op.f("uq_packages_model_version_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_packages_creator_id"), "packages", ["creator_id"], unique=False)
    op.create_index(
        op.f("ix_packages_project_id_created_at_id"), "packages", ["project_id", "created_at", "id"], unique=False
    )

    op.create_table(
        "package_files",
        sa.Column("id", INT64, nullable=False),
        sa.Column("package_id", INT64, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("size", INT64, nullable=False),
        sa.Column("creator_id", INT64, nullable=True),
        sa.Column("created_at", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_package_files_creator_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["package_id"], ["packages.id"], name=op.f("fk_package_files_package_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name=op.f("fk_package_files_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_package_files")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_package_files_creator_id"), "package_files", ["creator_id"], unique=False)
    op.create_index(
        op.f("ix_package_files_package_id_name_id"), "package_files", ["package_id", "name", "id"], unique=False
    )
    op.create_index(op.f("ix_package_files_sha256"), "package_files", ["sha256"], unique=False)


def downgrade() -> None:
    """Take the revision back: nothing is left."""
    for table in (
        "package_files",
        "packages",
        "candidate_tags",
        "candidate_params",
        "candidate_metrics",
        "model_version_tags",
        "candidates",
        "model_versions",
        "model_tags",
        "models",
        "experiment_tags",
        "tokens",
        "members",
        "experiments",
        "projects",
        "users",
        "blobs",
    ):
        op.drop_table(table)
