"""All rows of one database brought into another, of whichever kind each is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter

from sqlalchemy import Connection, LargeBinary, Table, delete, func, insert, select
from sqlalchemy.exc import DBAPIError

from modelyard.errors import CommandError
from modelyard.registry.sequences import go_on_from, last_id
from modelyard.registry.tables import AuditEvent, Base, Mark, Token, User

BATCH_ROWS = 1000
BATCH_BULKY_ROWS = 16  # of a table whose rows may have a megabyte each
FIRST_START = {User.__tablename__: 1, Token.__tablename__: 1, AuditEvent.__tablename__: 2}  # rows that it makes
MARKS = Base.metadata.tables[Mark.__tablename__]  # which triggers write, also of what is removed


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """How many rows of a table were copied, and counted again in the target."""

    table: str
    rows: int


def copy_rows(source: Connection, target: Connection) -> Iterator[CopiedTable]:
    """Copy every table, each within the transactions of the connections; ids go on where they were.

    The target has the same schema and no rows. Raises CommandError where it does not take a row, or has lost one.
    """
    for each in (source, target):
        _wait_for_the_other(each)
    with _without_triggers(target):
        for table in tables_in_order():
            rows = _copy(source, target, table)
            go_on_from(target, table, last_id(source, table))
            counted = target.scalar(select(func.count()).select_from(table))
            if counted != rows:
                raise CommandError(f"{table.name}: {rows} rows were copied, and {counted} are there")
            yield CopiedTable(table.name, rows)


def empty(connection: Connection) -> None:
    """Remove what a first start has made: an administrator with a token. Raises CommandError where there is more."""
    tables = [table for table in tables_in_order() if table is not MARKS]
    counts = {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables}
    if more := [name for name, count in counts.items() if count > FIRST_START.get(name, 0)]:
        raise CommandError(f"the target is not empty: there are rows in {', '.join(more)}")
    for table in (*(table for table in reversed(tables) if counts[table.name]), MARKS):
        connection.execute(delete(table))


def tables_in_order() -> list[Table]:
    """All tables, each after those that it refers to."""
    tables = Base.metadata.tables
    references = {
        name: sorted({key.column.table.name for key in table.foreign_keys} - {name}) for name, table in tables.items()
    }
    return [tables[name] for name in TopologicalSorter(references).static_order()]


def _copy(source: Connection, target: Connection, table: Table) -> int:
    bulky = any(isinstance(column.type, LargeBinary) for column in table.columns)
    batch = BATCH_BULKY_ROWS if bulky else BATCH_ROWS
    found = source.execute(select(table), execution_options={"yield_per": batch})
    count = 0
    for rows in found.mappings().partitions():
        try:
            target.execute(insert(table), [dict(row) for row in rows])
        except DBAPIError as error:
            raise CommandError(f"{table.name}: {str(error.orig).partition(chr(10))[0]}") from error
        count += len(rows)
    return count


@contextmanager
def _without_triggers(connection: Connection) -> Iterator[None]:
    """What triggers have written in the source is copied; they are not to write it once more."""
    if connection.dialect.name == "sqlite":
        found = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        triggers = connection.exec_driver_sql(found).all()
        for name, _sql in triggers:
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        yield
        for _name, sql in triggers:
            connection.exec_driver_sql(sql)
    else:
        names = [table.name for table in tables_in_order()]
        for name in names:
            connection.exec_driver_sql(f"ALTER TABLE {name} DISABLE TRIGGER USER")
        yield
        for name in names:
            connection.exec_driver_sql(f"ALTER TABLE {name} ENABLE TRIGGER USER")


def _wait_for_the_other(connection: Connection) -> None:
    """Each connection is idle, in its transaction, while the other works."""
    if connection.dialect.name == "postgresql":
        for timeout in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {timeout} = 0")
