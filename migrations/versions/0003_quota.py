"""How many bytes the files of a project have, kept by triggers, and how many they may have.

Triggers see every way in which a file comes or goes: the deletion of a project, a model or a run takes its files along
by foreign keys, and programs of an older version may still run beside. A trigger goes with its table: a later revision
that makes `packages` or `package_files` anew on SQLite must make these anew as well.

Revision: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SQLITE = (
    """
    CREATE TRIGGER count_added_file AFTER INSERT ON package_files BEGIN
        INSERT INTO project_storage (project_id, slot, size)
        SELECT project_id, 0, NEW.size FROM packages WHERE id = NEW.package_id
        ON CONFLICT (project_id, slot) DO UPDATE SET size = size + excluded.size;
    END
    """,
    # A package that is gone was counted as a whole.
    """
    CREATE TRIGGER count_removed_file AFTER DELETE ON package_files BEGIN
        UPDATE project_storage SET size = size - OLD.size
        WHERE slot = 0 AND project_id = (SELECT project_id FROM packages WHERE id = OLD.package_id);
    END
    """,
    """
    CREATE TRIGGER count_removed_package BEFORE DELETE ON packages BEGIN
        UPDATE project_storage
        SET size = size - (SELECT coalesce(sum(size), 0) FROM package_files WHERE package_id = OLD.id)
        WHERE slot = 0 AND project_id = OLD.project_id;
    END
    """,
)

# Writers of one project add to different rows, by their connection, so that they need not wait for each other.
SLOT = "pg_backend_pid() % 16"
ADD = "ON CONFLICT (project_id, slot) DO UPDATE SET size = project_storage.size + excluded.size"
POSTGRESQL = (
    f"""
    CREATE FUNCTION count_added_files() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO project_storage (project_id, slot, size)
        SELECT packages.project_id, {SLOT}, sum(added.size)
        FROM added JOIN packages ON packages.id = added.package_id GROUP BY packages.project_id {ADD};
        RETURN NULL;
    END $$
    """,  # noqa: S608 - constants of this file
    f"""
    CREATE FUNCTION count_removed_files() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO project_storage (project_id, slot, size)
        SELECT packages.project_id, {SLOT}, -sum(removed.size)
        FROM removed JOIN packages ON packages.id = removed.package_id GROUP BY packages.project_id {ADD};
        RETURN NULL;
    END $$
    """,  # noqa: S608 - constants of this file
    # A project that goes itself is no longer there to be counted.
    f"""
    CREATE FUNCTION count_removed_package() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO project_storage (project_id, slot, size)
        SELECT projects.id, {SLOT}, -sum(package_files.size)
        FROM projects JOIN package_files ON package_files.package_id = OLD.id
        WHERE projects.id = OLD.project_id GROUP BY projects.id {ADD};
        RETURN OLD;
    END $$
    """,  # noqa: S608 - constants of this file
    "CREATE TRIGGER count_added_files AFTER INSERT ON package_files REFERENCING NEW TABLE AS added"
    " FOR EACH STATEMENT EXECUTE FUNCTION count_added_files()",
    "CREATE TRIGGER count_removed_files AFTER DELETE ON package_files REFERENCING OLD TABLE AS removed"
    " FOR EACH STATEMENT EXECUTE FUNCTION count_removed_files()",
    "CREATE TRIGGER count_removed_package BEFORE DELETE ON packages"
    " FOR EACH ROW EXECUTE FUNCTION count_removed_package()",
)
FILL = """
    INSERT INTO project_storage (project_id, slot, size)
    SELECT packages.project_id, 0, sum(package_files.size)
    FROM package_files JOIN packages ON packages.id = package_files.package_id GROUP BY packages.project_id
"""


def upgrade() -> None:
    """Apply the revision."""
    op.add_column("projects", sa.Column("storage_limit", INT64, nullable=True))
    op.create_table(
        "project_storage",
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("slot", INT64, nullable=False),
        sa.Column("size", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_storage_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "slot", name=op.f("pk_project_storage")),
    )
    # The triggers first: they wait for writers that have begun, and hold off others until all is counted.
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)
    op.execute(FILL)


def downgrade() -> None:
    """Take the revision back; limits of projects are lost."""
    if op.get_bind().dialect.name == "sqlite":
        for trigger in ("count_added_file", "count_removed_file", "count_removed_package"):
            op.execute(f"DROP TRIGGER {trigger}")
    else:
        for table, name in (
            ("package_files", "count_added_files"),
            ("package_files", "count_removed_files"),
            ("packages", "count_removed_package"),
        ):
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("project_storage")
    op.drop_column("projects", "storage_limit")
