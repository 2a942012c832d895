"""The newest schema of SQLite as the revisions make it, which `make schema` writes down."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from alembic import command

from modelyard.registry.engine import make_engine
from modelyard.registry.newest_schema import written
from modelyard.registry.schema import alembic_config, changing

COUNTERS = "sqlite_sequence"  # which SQLite makes by itself


def of_all_revisions() -> str:
    """What makes the schema, and the few rows, that a new database has behind all revisions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "modelyard.db"
        engine = make_engine(f"sqlite:///{path}")
        with changing(engine) as connection:
            command.upgrade(alembic_config(connection), "head")
        engine.dispose()
        return script_of(path)


def script_of(path: Path) -> str:
    """What makes another database like this one, with all its rows."""
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        schema = database.execute(query).fetchall()
        schema.sort(key=_turn)
        lines = [f"{_settled(sql)};" for name, _kind, sql in schema if name != COUNTERS]
        for table in sorted(name for name, kind, _sql in schema if kind == "table"):
            rows = database.execute(f'SELECT * FROM "{table}"')
            lines += [f'INSERT INTO "{table}" VALUES ({", ".join(map(_literal, row))});' for row in rows]
    return "\n".join(lines) + "\n"


def _turn(each: tuple[str, str, str]) -> tuple[int, str]:
    name, kind, _sql = each
    return ("table", "index", "trigger").index(kind), name if kind == "index" else ""


def _settled(sql: str) -> str:
    """With constraints by name, as indexes are: Alembic, which copies tables, has no order of its own for either."""
    lines = sql.split("\n")
    places = [place for place, line in enumerate(lines) if line.startswith("\tCONSTRAINT ")]
    for place, constraint in zip(places, sorted(lines[each].removesuffix(", ") for each in places), strict=True):
        lines[place] = constraint + (", " if lines[place].endswith(", ") else "")
    return "\n".join(lines)


def _literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


if __name__ == "__main__":
    written().write_text(of_all_revisions())
