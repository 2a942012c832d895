"""The counters that give new rows their ids. No id is used twice, so a counter may be ahead of all rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, Table, column, delete, func, insert, literal_column, select, table, text

_COUNTERS = table("sqlite_sequence", column("name"), column("seq"))


def last_id(connection: Connection, of: Table) -> int:
    """The highest id that a table has given; 0 where it has given none."""
    counter = of.autoincrement_column
    if counter is None:
        return 0
    if connection.dialect.name == "sqlite":
        given = connection.scalar(select(_COUNTERS.c.seq).where(_COUNTERS.c.name == of.name))
    else:
        given = _given_by_sequence(connection, of, counter)
    return max(given or 0, connection.scalar(select(func.max(counter))) or 0)


def go_on_from(connection: Connection, of: Table, last: int) -> None:
    """Give ids above `last` from now on."""
    counter = of.autoincrement_column
    if counter is None or not last:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(delete(_COUNTERS).where(_COUNTERS.c.name == of.name))
        connection.execute(insert(_COUNTERS).values(name=of.name, seq=last))
    else:
        connection.execute(select(func.setval(func.pg_get_serial_sequence(of.name, counter.name), last)))


def _given_by_sequence(connection: Connection, of: Table, counter: Column[Any]) -> int | None:
    sequence = connection.scalar(select(func.pg_get_serial_sequence(of.name, counter.name)))
    last, called = (
        connection.scalar(select(literal_column(name)).select_from(text(str(sequence))))
        for name in ("last_value", "is_called")
    )
    return int(last or 0) if called else None
