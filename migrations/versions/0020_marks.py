"""Marks of what was changed last, by which lookups that are remembered on any replica are known to hold still.

The database sets them itself, in the transaction that changes something: no process can forget to, also not one of the
version before, nor a hand on `psql`.

Revision: 0020
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


class Watched(NamedTuple):
    """A table whose rows lookups are made of: what bears on them beyond a row's end, and whose mark that sets."""

    table: str
    inserts: bool  # whether a new row can change what is found already
    columns: str  # those whose change does
    scope: str  # of a row `{row}`: an expression
    place: str = ""  # where the scope is looked up, if not in the row: FROM … WHERE …


PROJECT = "'project ' || {row}.project_id"
WATCHED = (
    Watched("users", False, "username state admin bot", "'user ' || {row}.id"),
    Watched(
        "tokens",
        False,
        "user_id project_id maker_id kind digest scopes expires_at revoked_at",
        "'user ' || {row}.user_id",
    ),
    Watched("projects", False, "path namespace_path path_key visibility storage_limit", "'project ' || {row}.id"),
    Watched("members", True, "project_id user_id access_level expires_at", PROJECT),
    Watched("candidates", False, "project_id iid model_version_id", PROJECT),
    Watched("logged_models", False, "project_id eid", PROJECT),
    Watched("models", True, "project_id name created_at", PROJECT),
    Watched("model_versions", True, "project_id model_id version major minor patch prerelease created_at", PROJECT),
    Watched(
        "model_aliases",
        True,
        "model_id alias model_version_id",
        "'project ' || models.project_id",
        "FROM models WHERE models.id = {row}.model_id",
    ),
    Watched("packages", True, "project_id model_version_id candidate_id logged_model_id", PROJECT),
    Watched(
        "package_files",
        True,
        "package_id name sha256 size created_at",
        "'project ' || packages.project_id",
        "FROM packages WHERE packages.id = {row}.package_id",
    ),
    Watched(
        "commits",
        False,
        "oid model_version_id changed_at",
        "'project ' || model_versions.project_id",
        "FROM model_versions WHERE model_versions.id = {row}.model_version_id",
    ),
    Watched("blobs", False, "damaged_at", "'damage'"),
)
FORGOTTEN = Watched("blobs", False, "", "'forgotten blobs'")  # which only files of old commits can have pointed at

NEW_MARK = {"sqlite": "1 + (random() & 0xFFFFFFFFFFFF)", "postgresql": "1 + floor(random() * 281474976710656)::bigint"}

# A transaction marks a scope once, or it would grow with each of the rows that go with a project. As the setting is the
# transaction's own, it is taken back with a savepoint as the mark is.
MARK = f"""
    CREATE FUNCTION mark_changed(changed text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        IF changed IS NOT NULL AND current_setting('modelyard.marked', true) IS DISTINCT FROM changed THEN
            INSERT INTO marks (scope, slot, mark) VALUES (changed, pg_backend_pid() % 16, {NEW_MARK["postgresql"]})
            ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark;
            PERFORM set_config('modelyard.marked', changed, true);
        END IF;
    END $$
"""  # noqa: S608 - constants of this file
# Of files there come and go many by one statement.
BULK = "package_files"
MARK_FILES = """
    CREATE FUNCTION mark_changed_files() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM mark_changed('project ' || id) FROM (
            SELECT DISTINCT packages.project_id AS id FROM changed JOIN packages ON packages.id = changed.package_id
        ) AS projects;
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "marks",
        sa.Column("scope", BYTEWISE, nullable=False),
        sa.Column("slot", INT64, nullable=False),
        sa.Column("mark", INT64, nullable=False),
        sa.PrimaryKeyConstraint("scope", "slot", name=op.f("pk_marks")),
    )
    if op.get_bind().dialect.name == "sqlite":
        for watched in WATCHED:
            for event, rows in _events(watched):
                _watch_sqlite(watched, event, rows)
        _watch_sqlite(FORGOTTEN, "DELETE", ("OLD",))
    else:
        op.execute(MARK)
        op.execute(MARK_FILES)
        for watched in WATCHED:
            _watch_postgresql(watched)
        _watch_rows(FORGOTTEN, "DELETE", ("OLD",))


def downgrade() -> None:
    """Take the revision back."""
    names = [(watched.table, _name(watched, event)) for watched in WATCHED for event, _rows in _events(watched)]
    for table, name in [*names, ("blobs", _name(FORGOTTEN, "DELETE"))]:
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER {name}")
        else:
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION IF EXISTS {name}()")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION mark_changed_files()")
        op.execute("DROP FUNCTION mark_changed(text)")
    op.drop_table("marks")


def _events(watched: Watched) -> list[tuple[str, tuple[str, ...]]]:
    """What happens to a table's rows, and the rows that tell whose marks it sets."""
    removed = [] if watched.table == "blobs" else [("DELETE", ("OLD",))]
    return [*([("INSERT", ("NEW",))] if watched.inserts else []), ("UPDATE", ("OLD", "NEW")), *removed]


def _name(watched: Watched, event: str) -> str:
    return f"mark_{watched.table}_{event.lower()}"


def _watch_sqlite(watched: Watched, event: str, rows: tuple[str, ...]) -> None:
    changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in watched.columns.split())
    when = f"WHEN {changed}" if event == "UPDATE" else ""
    scopes = " UNION ".join(f"SELECT {watched.scope} AS scope {watched.place}".format(row=row) for row in rows)
    marking = (
        "INSERT INTO marks (scope, slot, mark)"  # noqa: S608 - constants of this file
        f" SELECT scope, 0, {NEW_MARK['sqlite']} FROM ({scopes}) WHERE true"
        " ON CONFLICT (scope, slot) DO UPDATE SET mark = excluded.mark"
    )
    named = f"CREATE TRIGGER {_name(watched, event)} AFTER {event} ON {watched.table}"
    op.execute(f"{named} {when} BEGIN {marking}; END")


def _watch_postgresql(watched: Watched) -> None:
    for event, rows in _events(watched):
        if watched.table == BULK and event != "UPDATE":
            op.execute(
                f"CREATE TRIGGER {_name(watched, event)} AFTER {event} ON {watched.table} REFERENCING {rows[0]} TABLE"
                " AS changed FOR EACH STATEMENT EXECUTE FUNCTION mark_changed_files()"
            )
        else:
            _watch_rows(watched, event, rows)


def _watch_rows(watched: Watched, event: str, rows: tuple[str, ...]) -> None:
    changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in watched.columns.split())
    when = f"WHEN ({changed})" if event == "UPDATE" else ""
    marking = f"PERFORM mark_changed({watched.scope}) {watched.place};"
    name, body = _name(watched, event), " ".join(marking.format(row=row) for row in rows)
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$")
    op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {watched.table} FOR EACH ROW {when} EXECUTE FUNCTION {name}()")
