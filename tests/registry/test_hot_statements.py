"""The statements behind every transfer use an index for every table that they touch."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.registry.engine import Database
from modelyard.registry.locations import lookup_statement
from modelyard.registry.schema import migrate
from modelyard.wire.paths import OwnerKind


@pytest.mark.parametrize("kind", list(OwnerKind))
@pytest.mark.parametrize("by_id", [True, False], ids=["by-id", "by-path"])
def test_the_lookup_of_a_file_never_scans_a_table(tmp_path: Path, by_id: bool, kind: OwnerKind) -> None:
    database = Database(f"sqlite:///{tmp_path}/db")
    migrate(database.engine)
    compiled = lookup_statement(by_id, kind).compile(database.engine)
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
