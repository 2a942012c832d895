"""How much the rows of a project are, beside its files, kept by triggers: 200 bytes for each, and those of its texts.

Triggers see every way in which a row comes or goes, as those of revision 0003 do. The points of metrics alone are
counted by the program that adds them, since a trigger for each would be felt; what goes with a run is counted here.
A trigger goes with its table: a later revision that makes one of these tables anew on SQLite must make its triggers
anew as well. Members, packages and their files are not counted: users and the limit for files bound these.

Revision: 0010
"""

# ruff: noqa: S608 - what is joined are constants of this file

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ROW_BYTES = 200
POINTS = ("candidate_metrics", "candidate_id")

# Tables that name their project: their texts, and the tables of what hangs on them alone.
OWNERS: dict[str, tuple[str, ...]] = {
    "experiments": ("name",),
    "candidates": ("name",),
    "models": ("name", "description"),
    "model_versions": ("description", "source", "run_link", "location"),
    "logged_models": ("name", "model_type", "status_message"),
    "tokens": ("name", "description"),
}
# Other tables: the column that names the owner, the table of the owner, and their texts.
ATTACHED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "experiment_tags": ("experiment_id", "experiments", ("key", "value")),
    "candidate_tags": ("candidate_id", "candidates", ("key", "value")),
    "candidate_params": ("candidate_id", "candidates", ("key", "value")),
    "candidate_datasets": ("candidate_id", "candidates", ("name", "source", "schema", "profile", "tags")),
    "candidate_models": ("candidate_id", "candidates", ()),
    "model_tags": ("model_id", "models", ("key", "value")),
    "model_aliases": ("model_id", "models", ("alias",)),
    "model_version_tags": ("model_version_id", "model_versions", ("key", "value")),
    "logged_model_tags": ("logged_model_id", "logged_models", ("key", "value")),
    "logged_model_params": ("logged_model_id", "logged_models", ("key", "value")),
}
BY_SLOT = "ON CONFLICT (project_id, slot) DO UPDATE SET size = project_rows.size + excluded.size"


def _sqlite_size(row: str, texts: tuple[str, ...]) -> str:
    return " + ".join([str(ROW_BYTES), *(f'coalesce(length(CAST({row}"{text}" AS BLOB)), 0)' for text in texts)])


def _postgresql_size(row: str, texts: tuple[str, ...]) -> str:
    return " + ".join([str(ROW_BYTES), *(f'coalesce(octet_length({row}"{text}"), 0)' for text in texts)])


def _hanging_on(owner: str) -> Iterator[tuple[str, str, tuple[str, ...] | None]]:
    """The tables of what hangs on an owner, their columns that name it, and their texts; None for points."""
    yield from ((table, column, texts) for table, (column, of, texts) in ATTACHED.items() if of == owner)
    if owner == "candidates":
        yield (*POINTS, None)


def _sqlite() -> Iterator[str]:
    """An owner is counted with all that hangs on it before it goes; what goes with it finds no owner any more."""

    def goes(owner: str, texts: tuple[str, ...]) -> str:
        sums = [_sqlite_size("OLD.", texts)]
        for table, column, its in _hanging_on(owner):
            size = str(ROW_BYTES) if its is None else _sqlite_size("", its)
            sums.append(f"(SELECT coalesce(sum({size}), 0) FROM {table} WHERE {column} = OLD.id)")
        return " + ".join(sums)

    def triggers(table: str, texts: tuple[str, ...], project: str, removed: str, when: str) -> Iterator[str]:
        new, old = _sqlite_size("NEW.", texts), _sqlite_size("OLD.", texts)
        added, gone = project.replace("ROW.", "NEW."), project.replace("ROW.", "OLD.")
        yield f"""CREATE TRIGGER {table}_row_added AFTER INSERT ON {table} BEGIN
            INSERT INTO project_rows (project_id, slot, size) SELECT id, 0, {new} FROM projects WHERE id = {added}
            {BY_SLOT};
        END"""
        yield f"""CREATE TRIGGER {table}_row_gone {when} DELETE ON {table} BEGIN
            UPDATE project_rows SET size = size - ({removed}) WHERE slot = 0 AND project_id = {gone};
        END"""
        if texts:
            columns = ", ".join(f'"{text}"' for text in texts)
            yield f"""CREATE TRIGGER {table}_row_changed AFTER UPDATE OF {columns} ON {table} BEGIN
                UPDATE project_rows SET size = size + ({new}) - ({old}) WHERE slot = 0 AND project_id = {added};
            END"""

    for table, texts in OWNERS.items():
        yield from triggers(table, texts, "ROW.project_id", goes(table, texts), "BEFORE")
    for table, (column, owner, texts) in ATTACHED.items():
        project = f"(SELECT project_id FROM {owner} WHERE id = ROW.{column})"
        yield from triggers(table, texts, project, _sqlite_size("OLD.", texts), "AFTER")


SLOT = "pg_backend_pid() % 16"  # writers of one project add to different rows, by their connection


def _postgresql() -> Iterator[str]:
    """The same, of all rows of a statement at once, where these come or hang on another."""

    def function(name: str, body: str, result: str = "NULL") -> str:
        return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN {result}; END $$"

    def add(project: str, size: str, rows: str, group: str = "GROUP BY projects.id") -> str:
        # A project that goes itself is no longer there to be counted.
        return (
            f"INSERT INTO project_rows (project_id, slot, size) SELECT projects.id, {SLOT}, {size} FROM {rows}"
            f" projects WHERE projects.id = {project} {group} {BY_SLOT}"
        )

    def triggers(table: str, texts: tuple[str, ...], joined: str, project: str) -> Iterator[str]:
        size = _postgresql_size("changed_rows.", texts)
        rows = f"changed_rows {joined},"
        yield function(f"{table}_row_added", add(project, f"sum({size})", rows))
        yield (
            f"CREATE TRIGGER {table}_row_added AFTER INSERT ON {table} REFERENCING NEW TABLE AS changed_rows"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_row_added()"
        )
        if joined:
            yield function(f"{table}_row_gone", add(project, f"-sum({size})", rows))
            yield (
                f"CREATE TRIGGER {table}_row_gone AFTER DELETE ON {table} REFERENCING OLD TABLE AS changed_rows"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_row_gone()"
            )

    def changed(table: str, texts: tuple[str, ...], project: str) -> Iterator[str]:
        new, old = _postgresql_size("NEW.", texts), _postgresql_size("OLD.", texts)
        yield function(f"{table}_row_changed", add(project, f"({new}) - ({old})", "", ""))
        columns = ", ".join(f'"{text}"' for text in texts)
        yield (
            f"CREATE TRIGGER {table}_row_changed AFTER UPDATE OF {columns} ON {table} FOR EACH ROW"
            f" WHEN (({new}) <> ({old})) EXECUTE FUNCTION {table}_row_changed()"
        )

    for table, texts in OWNERS.items():
        yield from triggers(table, texts, "", "changed_rows.project_id")
        yield from changed(table, texts, "NEW.project_id")
        sums = [_postgresql_size("OLD.", texts)]
        for hanging, column, its in _hanging_on(table):
            size = str(ROW_BYTES) if its is None else _postgresql_size("", its)
            sums.append(f"(SELECT coalesce(sum({size}), 0) FROM {hanging} WHERE {column} = OLD.id)")
        yield function(f"{table}_row_gone", add("OLD.project_id", f"-({' + '.join(sums)})", "", ""), "OLD")
        yield (
            f"CREATE TRIGGER {table}_row_gone BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_row_gone()"
        )
    for table, (column, owner, texts) in ATTACHED.items():
        joined = f"JOIN {owner} ON {owner}.id = changed_rows.{column}"
        yield from triggers(table, texts, joined, f"{owner}.project_id")
        if texts:
            yield from changed(table, texts, f"(SELECT project_id FROM {owner} WHERE id = NEW.{column})")


def _fill(*, sqlite: bool) -> Iterator[str]:
    size = _sqlite_size if sqlite else _postgresql_size
    for table, texts in OWNERS.items():
        yield f"SELECT project_id, 0, sum({size('', texts)}) FROM {table} WHERE project_id IS NOT NULL GROUP BY 1"
    attached = {table: (column, owner, size(f"{table}.", its)) for table, (column, owner, its) in ATTACHED.items()}
    attached[POINTS[0]] = (POINTS[1], "candidates", str(ROW_BYTES))
    for table, (column, owner, each) in attached.items():
        joined = f"{table} JOIN {owner} ON {owner}.id = {table}.{column} WHERE true"
        yield f"SELECT {owner}.project_id, 0, sum({each}) FROM {joined} GROUP BY 1"


def upgrade() -> None:
    """Apply the revision."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "project_rows",
        sa.Column("project_id", INT64, nullable=False),
        sa.Column("slot", INT64, nullable=False),
        sa.Column("size", INT64, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_project_rows_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "slot", name=op.f("pk_project_rows")),
    )
    # The triggers first: they wait for writers that have begun, and hold off others until all is counted.
    for statement in _sqlite() if sqlite else _postgresql():
        op.execute(statement)
    for counted in _fill(sqlite=sqlite):
        op.execute(f"INSERT INTO project_rows (project_id, slot, size) {counted} {BY_SLOT}")


def downgrade() -> None:
    """Take the revision back."""
    tables = {**OWNERS, **{table: texts for table, (_column, _owner, texts) in ATTACHED.items()}}
    for table, texts in tables.items():
        for what in ("added", "gone", *(["changed"] if texts else [])):
            name = f"{table}_row_{what}"
            if op.get_bind().dialect.name == "sqlite":
                op.execute(f"DROP TRIGGER {name}")
            else:
                op.execute(f"DROP TRIGGER {name} ON {table}")
                op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("project_rows")
