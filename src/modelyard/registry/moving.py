"""All rows of one database brought into another, of whichever kind each is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter

from sqlalchemy import Connection, Table, delete, exists, func, insert, select
from sqlalchemy.exc import DBAPIError

from modelyard.errors import CommandError
from modelyard.registry.sequences import go_on_from, last_id
from modelyard.registry.tables import Base, Token, User

BATCH_ROWS = 1000


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
    for table in tables_in_order():
        rows = _copy(source, target, table)
        go_on_from(target, table, last_id(source, table))
        counted = target.scalar(select(func.count()).select_from(table))
        if counted != rows:
            raise CommandError(f"{table.name}: {rows} rows were copied, and {counted} are there")
        yield CopiedTable(table.name, rows)


def empty(connection: Connection) -> None:
    """Remove what a first start has made: an administrator with a token. Raises CommandError where there is more."""
    filled = [
        table.name for table in tables_in_order() if connection.scalar(select(exists(select(1).select_from(table))))
    ]
    accounts = {User.__tablename__, Token.__tablename__}
    alone = all(connection.scalar(select(func.count()).select_from(each)) in (0, 1) for each in (User, Token))
    if not alone or not accounts.issuperset(filled):
        others = [name for name in filled if name not in accounts] or filled
        raise CommandError(f"the target is not empty: there are rows in {', '.join(others)}")
    for table in (Token, User):
        connection.execute(delete(table))


def tables_in_order() -> list[Table]:
    """All tables, each after those that it refers to."""
    tables = Base.metadata.tables
    references = {
        name: sorted({key.column.table.name for key in table.foreign_keys} - {name}) for name, table in tables.items()
    }
    return [tables[name] for name in TopologicalSorter(references).static_order()]


def _copy(source: Connection, target: Connection, table: Table) -> int:
    found = source.execute(select(table), execution_options={"yield_per": BATCH_ROWS})
    count = 0
    for rows in found.mappings().partitions():
        try:
            target.execute(insert(table), [dict(row) for row in rows])
        except DBAPIError as error:
            raise CommandError(f"{table.name}: {str(error.orig).partition(chr(10))[0]}") from error
        count += len(rows)
    return count


def _wait_for_the_other(connection: Connection) -> None:
    """Each connection is idle, in its transaction, while the other works."""
    if connection.dialect.name == "postgresql":
        for timeout in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {timeout} = 0")
