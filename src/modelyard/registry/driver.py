"""Statements that SQLite's own driver is asked: those of every transfer, and every row that is inserted by itself.

Such a statement takes some 5 µs in SQLite. To execute it through SQLAlchemy takes 20 to 70 more, most of them for the
key by which it is found compiled, and for a result that can be read in many ways.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, insert
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement

from modelyard.registry.statements import built_once
from modelyard.registry.tables import Base

EXPLAIN = "explain"  # the key, in a connection's `info`, of what makes an error say more

_DIALECT = dialect()

Process = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Plain:
    """A statement as the driver takes it: its text, and its parameters in their order."""

    text: str
    names: tuple[str, ...]
    fixed: Mapping[str, object]  # values that stand in the statement
    processed: Mapping[str, Process]  # by the type of their column

    def arguments(self, values: Mapping[str, object]) -> list[object]:
        found = [values[name] if name in values else self.fixed[name] for name in self.names]
        if self.processed:
            each = zip(self.names, found, strict=True)
            return [self.processed[name](value) if name in self.processed else value for name, value in each]
        return found


def execute(connection: Connection, statement: ClauseElement, values: Mapping[str, object]) -> sqlite3.Cursor:
    """Execute a statement that is built once and kept; rows are as the driver has them.

    Raises as SQLAlchemy does: DBAPIError and its kin, and Stopped for a read that is to end.
    """
    return _run(connection, _plain(statement, tuple(values)), values)


def insert_row(connection: Connection, table: type[Base], given: Mapping[str, object]) -> dict[str, object] | None:
    """Insert one row: what it has in all columns. None, and nothing is done, where the database gives values itself."""
    insertion = _insertion(table, tuple(given))
    if insertion is None:
        return None
    made = {name: default() for name, default in insertion.defaults.items()}
    made.update(given)
    cursor = _run(connection, insertion.plain, made)
    if insertion.generated is not None:
        made[insertion.generated] = cursor.lastrowid
    return made


@dataclass(frozen=True, slots=True)
class _Insertion:
    plain: _Plain
    defaults: Mapping[str, Callable[[], object]]  # of columns that are not given
    generated: str | None  # the key that the database draws


def _run(connection: Connection, plain: _Plain, values: Mapping[str, object]) -> sqlite3.Cursor:
    arguments = plain.arguments(values)
    for told in connection.dispatch.before_cursor_execute:  # as of SQLAlchemy's own statements
        told(connection, None, plain.text, arguments, None, False)
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment] # of SQLite
    try:
        return driver.execute(plain.text, arguments)
    except sqlite3.Error as error:
        explain: Callable[[sqlite3.Error], sqlite3.Error] = connection.info.get(EXPLAIN, lambda said: said)
        raise DBAPIError.instance(
            plain.text, arguments, explain(error), sqlite3.Error, dialect=connection.dialect
        ) from error


@built_once
def _plain(statement: ClauseElement, names: tuple[str, ...]) -> _Plain:
    return _compiled(statement, names)


@built_once
def _insertion(table: type[Base], given: tuple[str, ...]) -> _Insertion | None:
    into: Table = table.__table__  # type: ignore[assignment] # a Table, though typed as any FromClause
    key = into.autoincrement_column
    generated = key.name if key is not None and key.name not in given else None
    defaults: dict[str, Callable[[], object]] = {}
    for column in into.columns:
        if column.name in given or column.name == generated:
            continue
        default = _default(column)
        if default is None:
            return None
        defaults[column.name] = default
    names = [column.name for column in into.columns if column.name != generated]
    return _Insertion(_compiled(insert(into).inline(), names), defaults, generated)


def _default(column: Any) -> Callable[[], object] | None:  # noqa: ANN401 - a Column of any type
    """What makes the value of a column that is not given; None where only the database can."""
    if column.server_default is not None or column.computed is not None:
        return None
    default = column.default
    if default is None:
        return lambda: None
    if default.is_scalar:
        value = default.arg
        return lambda: value
    return (lambda: default.arg(None)) if default.is_callable else None


def _compiled(statement: ClauseElement, names: Sequence[str]) -> _Plain:
    compiled: Any = statement.compile(dialect=_DIALECT, column_keys=list(names))
    text = str(compiled)
    if "POSTCOMPILE" in text:
        raise TypeError("a list among the parameters makes another text each time")
    positions = tuple(compiled.positiontup or ())
    processors = {name: compiled.binds[name].type.dialect_impl(_DIALECT).bind_processor(_DIALECT) for name in positions}
    processed = {name: process for name, process in processors.items() if process is not None}
    return _Plain(text, positions, compiled.params, processed)
