"""Statements that are sent to PostgreSQL together with the next one, and what their answers are for.

A trip there and back costs more than most of our statements (see `backends.postgresql_trips`). SQLite has no trips.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Executable, Insert, Select, Update, func, select
from sqlalchemy.orm import Session

from modelyard.registry import driver
from modelyard.registry.statements import built_once
from modelyard.registry.tables import Base
from modelyard.registry.transaction import Transaction

# Of a statement whose answer nobody looks at, nor does SQLAlchemy for a key (`inline`): PostgreSQL is sent it together
# with the next one, or with COMMIT.
POSTPONED = {"postponed": True}

Row: TypeAlias = tuple[Any, ...]


class Asking:
    """Asks within a transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self.connection = transaction.connection

    @property
    def session(self) -> Session:
        """The transaction's, for entities."""
        return self.transaction.session

    @property
    def dialect(self) -> str:
        """The name of the database's dialect: `sqlite` or `postgresql`."""
        return self.connection.dialect.name

    def row(self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, object]) -> Sequence[Any]:
        """The one row of a statement that is built once and kept, as the driver gives it."""
        connection = self.connection
        if connection.dialect.name == "sqlite":
            found: Row = driver.execute(connection, statement, parameters).fetchone()
            return found
        return connection.execute(statement, parameters).one()

    def write(self, statement: Insert | Update, parameters: Mapping[str, object]) -> None:
        """Execute a statement that is built once and kept, of whose answer nothing is wanted; see POSTPONED."""
        connection = self.connection
        if connection.dialect.name == "sqlite":
            driver.execute(connection, statement, parameters)
        else:
            connection.execute(statement, parameters, execution_options=POSTPONED)

    def ask_ahead(
        self,
        keys: Sequence[Hashable],
        statement: Executable,
        parameters: Mapping[str, object],
        read: Callable[[list[Row]], Sequence[object]],
    ) -> None:
        """Have the answer of a statement together with that of the next one: `read` tells from its rows what there is
        for each of the keys, by which `asked_ahead` gives it. Where that saves no trip, nothing is done.
        """
        if self.dialect != "postgresql":
            return
        asked = self.transaction.asked
        asked.update(dict.fromkeys(keys))

        def told(rows: list[Row]) -> None:
            asked.update({key: found for key, found in zip(keys, read(rows), strict=True) if key in asked})

        self.connection.execute(statement, parameters, execution_options={**POSTPONED, "told": told})

    def asked_ahead(self, key: Hashable) -> Any:  # noqa: ANN401 - whatever was asked for
        """What was asked for by `ask_ahead`, once; None where it was not, or has not come."""
        return self.transaction.asked.pop(key, None)

    def reserve(self, *tables: type[Base]) -> None:
        """Draw the ids of one new row of each table with the next statement: to insert it then takes no trip.

        They come in the order of the locks that are held by then. Where what orders rows is held later, as with a file
        of a version's own and one that its source gives, they are to be forgotten then.
        """
        self.ask_ahead(tables, _ids_statement(*tables), {}, lambda rows: rows[0])

    def forget_reserved(self, table: type[Base]) -> None:
        """Have the next new row of a table get its id as it is inserted."""
        self.asked_ahead(table)


@built_once
def _ids_statement(*tables: type[Base]) -> Select[*tuple[Any, ...]]:
    names = [table.__tablename__ for table in tables]
    return select(*(func.nextval(func.pg_get_serial_sequence(name, "id")) for name in names))
