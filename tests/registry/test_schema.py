"""The schema: migrations match the tables, run once, and go back."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from modelyard.registry.engine import make_engine
from modelyard.registry.schema import alembic_config, is_current, migrate
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
    with engine.execution_options(writing=True).begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()
