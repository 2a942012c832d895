"""The statements behind every transfer use an index for every table that they touch."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event

from modelyard.registry.engine import Database, make_engine
from modelyard.registry.files.locations import lookup_statement
from modelyard.terms.paths import OwnerKind
from tests.databases import ON_POSTGRESQL, database_url, migrated_sqlite


@pytest.mark.sqlite
@pytest.mark.parametrize("kind", list(OwnerKind))
@pytest.mark.parametrize("by_id", [True, False], ids=["by-id", "by-path"])
@pytest.mark.parametrize("to_change", [False, True], ids=["to-read", "to-change"])
def test_the_lookup_of_a_file_never_scans_a_table(
    tmp_path: Path, to_change: bool, by_id: bool, kind: OwnerKind
) -> None:
    database = Database(migrated_sqlite(tmp_path / "db"))
    compiled = lookup_statement(by_id, kind, to_change).compile(database.engine)
    values = dict.fromkeys(compiled.params, 1)
    with database.engine.connect() as connection:
        text = str(compiled)
        arguments = tuple(values[name] for name in compiled.positiontup or ())
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", arguments)]
    database.close()
    touched = [line for line in plan if line.startswith(("SCAN", "SEARCH"))]
    assert len(touched) >= 8
    scans = [line for line in touched if line.startswith("SCAN") and "CONSTANT ROW" not in line and line != "SCAN one"]
    assert scans == []


@pytest.mark.sqlite
def test_the_last_use_of_a_users_tokens_is_found_without_looking_at_all_of_them(tmp_path: Path) -> None:
    database = Database(migrated_sqlite(tmp_path / "db"))
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *context: statements.append(context[2]))
    with database.reading() as registry:
        registry.tokens.last_used([1])
    with database.engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statements[-1]}", (1,))]
    database.close()
    assert any("ix_tokens_user_id_last_used_at (user_id=?)" in line for line in plan), plan
    assert not any(line.startswith("SCAN") for line in plan), plan


@pytest.mark.skipif(not ON_POSTGRESQL, reason="it is about PostgreSQL's planner")
@pytest.mark.parametrize("kind", list(OwnerKind))
@pytest.mark.parametrize("by_id", [True, False], ids=["by-id", "by-path"])
@pytest.mark.parametrize("to_change", [False, True], ids=["to-read", "to-change"])
def test_the_lookup_of_a_file_can_do_without_scans_of_tables(
    tmp_path: Path, to_change: bool, by_id: bool, kind: OwnerKind
) -> None:
    engine = make_engine(database_url(tmp_path))
    text = str(lookup_statement(by_id, kind, to_change).compile(engine))
    owner = "m-1" if kind is OwnerKind.LOGGED_MODEL else 1
    values = {"digest": "d", "project": 1 if by_id else "n/p", "owner": owner, "name": "f", "now": 1}
    with engine.connect() as connection:
        connection.exec_driver_sql("SET enable_seqscan = off")
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {text}", values).scalars())
    engine.dispose()
    assert "Seq Scan" not in plan
    assert plan.count("Index") >= 8
