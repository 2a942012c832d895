"""The schema: migrations match the tables, run once, and go back."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from modelyard.registry.engine import make_engine
from modelyard.registry.schema import alembic_config, changing, is_current, migrate
from modelyard.registry.tables import Base


def test_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/db")
    migrate(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_processes_that_migrate_at_once_wait_for_each_other(tmp_path: Path) -> None:
    failures: list[Exception] = []

    def run() -> None:
        engine = make_engine(f"sqlite:///{tmp_path}/db")
        try:
            migrate(engine)
        except Exception as error:
            failures.append(error)
        engine.dispose()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_knows_whether_it_is_current(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/db")
    assert not is_current(engine)
    migrate(engine)
    assert is_current(engine)
    engine.dispose()


def test_every_revision_can_be_taken_back(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/db")
    migrate(engine)
    with changing(engine) as connection:
        command.downgrade(alembic_config(connection), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


FIRST_REVISION_ROWS = (
    "INSERT INTO projects (name, path, namespace_path, path_key, description, visibility, last_experiment_iid,"
    " last_candidate_iid, created_at, updated_at) VALUES ('p', 'p', 'n', 'n/p', '', 'private', 1, 1, 0, 0)",
    "INSERT INTO experiments (project_id, iid, name, created_at, updated_at) VALUES (1, 1, '[model]m', 0, 0)",
    "INSERT INTO models (project_id, name, description, default_experiment_id, created_at, updated_at)"
    " VALUES (1, 'm', '', 1, 0, 0)",
    "INSERT INTO model_versions (project_id, model_id, version, major, minor, patch, prerelease, description, source,"
    " run_link, created_at, updated_at) VALUES (1, 1, '1.0.0', 1, 0, 0, '', '', '', '', 0, 0)",
    "INSERT INTO candidates (project_id, iid, eid, experiment_id, model_version_id, name, status, start_time,"
    " created_at, updated_at) VALUES (1, 1, 'e', 1, 1, 'r', 'RUNNING', 0, 0, 0)",
    f"INSERT INTO candidate_tags (candidate_id, key, value) VALUES (1, 'k', '{'v' * 100}')",
    "INSERT INTO packages (project_id, name, version, status, model_version_id, created_at, updated_at)"
    " VALUES (1, 'm', '1.0.0', 'default', 1, 0, 0)",
    "INSERT INTO packages (id, project_id, name, version, status, created_at, updated_at)"
    " VALUES (9, 1, 'm', '9', 'default', 0, 0)",
    "DELETE FROM packages WHERE id = 9",
    "INSERT INTO blobs (sha256, size, created_at) VALUES ('a', 1, 0)",
    "INSERT INTO package_files (package_id, name, sha256, size, created_at) VALUES (1, 'f', 'a', 1, 0)",
)


def test_an_upgrade_keeps_every_row_and_never_uses_an_id_twice(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/db")
    with changing(engine) as connection:
        command.upgrade(alembic_config(connection), "0001")
    with changing(engine) as connection:
        for statement in FIRST_REVISION_ROWS:
            connection.execute(text(statement))
    migrate(engine)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT package_id, name FROM package_files")).all() == [(1, "f")]
        tag = connection.execute(text("SELECT experiment_id, head, value FROM candidate_tags")).one()
        assert (tag.experiment_id, tag.head, tag.value) == (1, "v" * 64, "v" * 100)
        assert connection.scalar(text("SELECT stage FROM model_versions")) == "None"
        connection.execute(
            text(
                "INSERT INTO packages (project_id, name, version, status, created_at, updated_at)"
                " VALUES (1, 'm', '2', 'default', 0, 0)"
            )
        )
        assert connection.scalar(text("SELECT max(id) FROM packages")) == 10
    engine.dispose()
