"""The schema: migrations match the tables, run once, and go back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from structlog.testing import capture_logs

from modelyard.registry import schema
from modelyard.registry.engine import make_engine
from modelyard.registry.newest_schema import written
from modelyard.registry.revisions import NewerDatabase, is_current, newest_revision
from modelyard.registry.schema import alembic_config, changing, migrate
from modelyard.registry.tables import Base
from tests import newest_schema
from tests.databases import ON_POSTGRESQL, database_url


def test_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    engine = make_engine(database_url(tmp_path, migrated=False))
    migrate(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


@pytest.mark.skipif(ON_POSTGRESQL, reason="PostgreSQL's is made by the revisions themselves")
def test_a_new_database_of_sqlite_has_the_very_schema_and_rows_that_all_revisions_make(tmp_path: Path) -> None:
    made = newest_schema.of_all_revisions()
    assert written().read_text() == made, "a revision is new: `make schema` writes what it makes"
    engine = make_engine(database_url(tmp_path))
    migrate(engine)
    engine.dispose()
    assert newest_schema.script_of(tmp_path / "modelyard.db") == made


@pytest.mark.skipif(ON_POSTGRESQL, reason="as above")
def test_revisions_make_what_is_not_written_down_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").mkdir()
    engine = make_engine(database_url(tmp_path / "old"))
    with changing(engine) as connection:
        command.upgrade(alembic_config(connection), "0021")
    engine.dispose()
    (tmp_path / "old.sql").write_text(newest_schema.script_of(tmp_path / "old" / "modelyard.db"))
    monkeypatch.setattr("modelyard.registry.newest_schema.written", lambda: tmp_path / "old.sql")
    engine = make_engine(database_url(tmp_path))
    migrate(engine)
    engine.dispose()
    assert newest_schema.script_of(tmp_path / "modelyard.db") == newest_schema.of_all_revisions()


def test_a_database_with_tables_of_others_is_migrated_beside_them(tmp_path: Path) -> None:
    engine = make_engine(database_url(tmp_path, migrated=False))
    with changing(engine) as connection:
        connection.execute(text("CREATE TABLE others (id INTEGER PRIMARY KEY)"))
    migrate(engine)
    assert is_current(engine)
    assert {"others", "projects"} <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_processes_that_migrate_at_once_wait_for_each_other(tmp_path: Path) -> None:
    url = database_url(tmp_path, migrated=False)
    failures: list[Exception] = []

    def run() -> None:
        engine = make_engine(url)
        try:
            migrate(engine)
        except Exception as error:
            failures.append(error)
        engine.dispose()

    threads = [threading.Thread(target=run) for _ in range(10)]
    with capture_logs() as logged:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    changes = [(line["before"], line["now"]) for line in logged if line["event"] == "schema migrated"]
    assert changes == [(None, newest_revision())]  # one of the ten did it


def test_a_database_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    engine = make_engine(database_url(tmp_path))
    migrate(engine)
    with changing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for attempt in (is_current, migrate):
        with pytest.raises(NewerDatabase, match="at revision 9999, this version of modelyard knows"):
            attempt(engine)
    engine.dispose()


def test_the_newest_revision_is_the_one_that_the_names_of_the_files_say() -> None:
    assert newest_revision() == ScriptDirectory.from_config(alembic_config()).get_current_head()


def test_a_database_knows_whether_it_is_current(tmp_path: Path) -> None:
    engine = make_engine(database_url(tmp_path, migrated=False))
    assert not is_current(engine)
    migrate(engine)
    assert is_current(engine)
    engine.dispose()


def test_every_revision_can_be_taken_back(tmp_path: Path) -> None:
    engine = make_engine(database_url(tmp_path, migrated=False))
    migrate(engine)
    with changing(engine) as connection:
        command.downgrade(alembic_config(connection), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


# What every revision holds; ids are those that a fresh database gives.
ROWS = (
    "INSERT INTO users (username, username_key, name, email, state, admin, bot, created_at)"
    " VALUES ('U', 'u', 'U', 'u@example.com', 'active', true, false, 0)",
    "INSERT INTO tokens (user_id, kind, name, description, digest, scopes, created_at)"
    " VALUES (1, 'personal', 't', '', 'd', 'api', 0)",
    "INSERT INTO projects (name, path, namespace_path, path_key, description, visibility, last_experiment_iid,"
    " last_candidate_iid, created_at, updated_at) VALUES ('p', 'p', 'n', 'n/p', '', 'private', 1, 1, 0, 0)",
    "INSERT INTO members (project_id, user_id, access_level, created_at) VALUES (1, 1, 50, 0)",
    "INSERT INTO experiments (project_id, iid, name, created_at, updated_at) VALUES (1, 1, '[model]m', 0, 0)",
    "INSERT INTO models (project_id, name, description, default_experiment_id, created_at, updated_at)"
    " VALUES (1, 'm', '', 1, 0, 0)",
    "INSERT INTO model_versions (project_id, model_id, version, major, minor, patch, prerelease, description,"
    " source, run_link, created_at, updated_at) VALUES (1, 1, '1.0.0', 1, 0, 0, '', '', '', '', 0, 0)",
    "INSERT INTO candidates (project_id, iid, eid, experiment_id, model_version_id, name, status, start_time,"
    " created_at, updated_at) VALUES (1, 1, 'e', 1, 1, 'r', 'RUNNING', 0, 0, 0)",
    "INSERT INTO candidate_metrics (candidate_id, name, value, is_nan, timestamp, step)"
    " VALUES (1, 'loss', 0.5, false, 1, 2)",
    "INSERT INTO experiment_tags (experiment_id, key, value) VALUES (1, 'k', 'v')",
    "INSERT INTO packages (project_id, name, version, status, model_version_id, created_at, updated_at)"
    " VALUES (1, 'm', '1.0.0', 'default', 1, 0, 0)",
    *(
        "INSERT INTO packages (project_id, name, version, status, created_at, updated_at)"
        " VALUES (1, 'm', '9', 'default', 0, 0)",
    )
    * 8,
    "DELETE FROM packages WHERE id = 9",
    "INSERT INTO blobs (sha256, size, created_at) VALUES ('a', 5000000000, 0)",
    "INSERT INTO package_files (package_id, name, sha256, size, created_at) VALUES (1, 'f', 'a', 5000000000, 0)",
)
TAG = (
    "INSERT INTO candidate_tags (candidate_id, key, experiment_id, value, head)"
    f" VALUES (1, 'k', 1, '{'v' * 100}', '{'v' * 64}')"
)
OLD_TAGS = {"0001": f"INSERT INTO candidate_tags (candidate_id, key, value) VALUES (1, 'k', '{'v' * 100}')"}
REVISIONS = sorted(each.revision for each in ScriptDirectory.from_config(alembic_config()).walk_revisions())


def counted(engine: Engine) -> dict[str, int]:
    """The rows of every table."""
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        return {each: connection.scalar(text(f"SELECT count(*) FROM {each}")) or 0 for each in tables}


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_upgrade_keeps_every_row_and_never_uses_an_id_twice(tmp_path: Path, revision: str) -> None:
    engine = make_engine(database_url(tmp_path, migrated=False))
    with changing(engine) as connection:
        command.upgrade(alembic_config(connection), revision)
    with changing(engine) as connection:
        for statement in (*ROWS, OLD_TAGS.get(revision, TAG)):
            connection.execute(text(statement))
    before = counted(engine)
    migrate(engine)
    after = counted(engine)
    assert sum(before.values()) > 15
    added = {"experiments": 1} if revision < "0007" else {}  # the default experiment of the project
    assert {table: after[table] - added.get(table, 0) for table in before} == before
    with engine.begin() as connection:
        assert connection.execute(text("SELECT package_id, name, size FROM package_files")).all() == [
            (1, "f", 5 * 10**9)
        ]
        tag = connection.execute(text("SELECT experiment_id, head, value FROM candidate_tags")).one()
        assert (tag.experiment_id, tag.head, tag.value) == (1, "v" * 64, "v" * 100)
        version = connection.execute(text("SELECT stage, run_id FROM model_versions")).one()
        assert (version.stage, version.run_id) == ("None", "e" if revision == "0001" else "")
        connection.execute(
            text(
                "INSERT INTO packages (project_id, name, version, status, created_at, updated_at)"
                " VALUES (1, 'm', '2', 'default', 0, 0)"
            )
        )
        assert connection.scalar(text("SELECT max(id) FROM packages")) == 10
        assert connection.execute(text("SELECT project_id, sum(size) FROM project_storage GROUP BY 1")).all() == [
            (1, 5 * 10**9)
        ]
    engine.dispose()


@pytest.mark.parametrize("name", ["Default", "other"])
def test_an_experiment_that_was_the_default_one_by_its_name_stays_it_with_its_id(tmp_path: Path, name: str) -> None:
    engine = make_engine(database_url(tmp_path, migrated=False))
    with changing(engine) as connection:
        command.upgrade(alembic_config(connection), "0006")
        for statement in (
            *ROWS,
            "INSERT INTO projects (name, path, namespace_path, path_key, description, visibility, last_experiment_iid,"
            " last_candidate_iid, created_at, updated_at) VALUES ('q', 'q', 'n', 'n/q', '', 'private', 3, 0, 5, 5)",
            f"INSERT INTO experiments (project_id, iid, name, created_at, updated_at) VALUES (2, 3, '{name}', 0, 0)",
        ):
            connection.execute(text(statement))
    migrate(engine)
    query = (
        "SELECT p.id, e.iid, e.name, e.project_id FROM projects p JOIN experiments e ON e.id = p.default_experiment_id"
    )
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(f"{query} ORDER BY p.id"))]
    assert found == [(1, 0, "Default", 1), (2, 3 if name == "Default" else 0, "Default", 2)]
    engine.dispose()


def test_sources_that_clients_could_not_take_apart_get_their_project(tmp_path: Path) -> None:
    kept = (
        "",
        "dummy",
        "s3://b/m",
        "mlflow-artifacts:/",
        "mlflow-artifacts:/candidate:1/model",
        "mlflow-artifacts:/x/y/z",
    )
    bare = ("mlflow-artifacts:/candidate:1", "mlflow-artifacts:/118")
    engine = make_engine(database_url(tmp_path, migrated=False))
    with changing(engine) as connection:
        command.upgrade(alembic_config(connection), "0005")
    with changing(engine) as connection:
        for statement in ROWS[:7]:
            connection.execute(text(statement))
        columns = "project_id, model_id, major, minor, patch, prerelease, description, run_link, stage, run_id"
        copied = f"SELECT {columns}, created_at, updated_at, :source, :version FROM model_versions WHERE id = 1"
        for number, source in enumerate((*kept, *bare)):
            into = f"INSERT INTO model_versions ({columns}, created_at, updated_at, source, version) {copied}"
            connection.execute(text(into), {"source": source, "version": f"2.0.{number}"})
    migrate(engine)
    query = text("SELECT source FROM model_versions WHERE id > 1 ORDER BY id")
    with engine.connect() as connection:
        now = [each.replace("mlflow-artifacts:/", "mlflow-artifacts:/projects/1/") for each in bare]
        assert list(connection.execute(query).scalars()) == [*kept, *now]
    with changing(engine) as connection:
        command.downgrade(alembic_config(connection), "0005")
    with engine.connect() as connection:
        assert list(connection.execute(query).scalars()) == [*kept, *bare]
    engine.dispose()


def test_triggers_outlive_all_revisions(tmp_path: Path) -> None:
    engine = make_engine(database_url(tmp_path))
    migrate(engine)
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    if ON_POSTGRESQL:
        query = "SELECT DISTINCT trigger_name FROM information_schema.triggers"
    with engine.connect() as connection:
        names = {name for name in connection.execute(text(query)).scalars() if "_row_" not in name}
    files = (
        {"count_added_files", "count_removed_files"} if ON_POSTGRESQL else {"count_added_file", "count_removed_file"}
    )
    marking = {name for name in names if name.startswith("mark_")}
    assert names - marking == {*files, "count_removed_package"}
    events = {"delete": 13, "insert": 6, "update": 13}  # what they do is held by test_marks.py
    assert Counter(name.rpartition("_")[2] for name in marking) == events
    engine.dispose()


@pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite compares bytes anyway")
def test_every_text_is_compared_byte_by_byte(tmp_path: Path) -> None:
    engine = make_engine(database_url(tmp_path))
    with engine.connect() as connection:
        other = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        texts = f"{other} AND data_type = 'text' AND table_name <> 'alembic_version'"
        assert connection.execute(text(texts)).all() != []
        assert connection.execute(text(f"{texts} AND collation_name IS DISTINCT FROM 'C'")).all() == []
    engine.dispose()


@pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite has one writer at a time")
def test_a_change_does_not_make_others_wait_behind_a_long_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "TABLE_LOCK_TIMEOUT", 100)
    monkeypatch.setattr(schema, "PAUSE_SECONDS", 0.1)
    engine = make_engine(database_url(tmp_path, migrated=False))
    with changing(engine) as connection:
        command.upgrade(alembic_config(connection), "0001")
    with engine.connect() as reader:
        reader.execute(text("SELECT * FROM candidates"))
        migration = threading.Thread(target=migrate, args=(engine,))
        migration.start()
        time.sleep(0.3)
        with engine.connect() as other:
            other.execute(text("SELECT * FROM candidates"))
        assert not is_current(engine)
    migration.join()
    assert is_current(engine)
    engine.dispose()
