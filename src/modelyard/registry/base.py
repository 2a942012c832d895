"""What every repository shares: a session, and reading one page of a statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Delete,
    Insert,
    Select,
    SQLColumnExpression,
    Update,
    bindparam,
    column,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import make_transient_to_detached

from modelyard.errors import ParameterError
from modelyard.registry import driver
from modelyard.registry.asking import POSTPONED, Asking, Row
from modelyard.registry.statements import built_once
from modelyard.registry.tables import Base
from modelyard.terms.paging import Page, PageRequest

T = TypeVar("T")
Entity = TypeVar("Entity", bound=Base)

MAX_INT64 = 2**63 - 1
MAX_NEEDLE = 4096  # characters; as a pattern they have 32 768 bytes at most, of which SQLite takes 50 000

MAX_SHAPES = 64  # of statements for many rows, which are kept built

Question: TypeAlias = tuple[Select[*tuple[Any, ...]], Mapping[str, object]]  # a statement with its parameters

Ends = tuple[int | None, int | None]  # the least and the greatest of some numbers that are meant; None: no such end


class Repository(Asking):
    """All statements on one subject, within the transaction of a session."""

    def page(self, statement: Select[T], request: PageRequest) -> Page[T]:
        """One page of the rows of an ordered statement, and how many rows there are in all.

        By keyset, where the statement leaves out what came before, only whether more rows follow.
        """
        if request.keyset is not None:
            found = list(self.session.scalars(statement.limit(request.limit + 1)))
            return Page(found[: request.limit], 0, request, more=len(found) > request.limit)
        total = self.session.scalar(select(func.count()).select_from(statement.order_by(None).subquery()))
        items: Sequence[T] = self.session.scalars(statement.limit(request.limit).offset(request.offset)).all()
        return Page(items=list(items), total=total or 0, request=request)

    def entities(self, table: type[Entity], ids: Sequence[int]) -> list[Entity]:
        """The rows of those ids, in their order; ids that are gone are left out."""
        if not ids:
            return []
        rows: Iterable[Any] = self.session.scalars(_entities_statement(table), {"ids": ids})
        found: dict[int, Entity] = {row.id: row for row in rows}
        return [found[id_] for id_ in ids if id_ in found]

    def values(
        self,
        owner: SQLColumnExpression[int],
        key: SQLColumnExpression[str],
        value: SQLColumnExpression[str],
        owners: Sequence[int],
    ) -> dict[int, dict[str, str]]:
        """Keys with values by whom they belong to, sorted by key; nothing for owners that have none."""
        return values_by_owner(self.tuples(*asked_values(owner, key, value, owners)))

    def tuples(
        self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a statement as the driver gives them, for many rows of plain numbers and texts."""
        result = self.connection.execute(statement, parameters)
        rows: list[tuple[Any, ...]] = list(result.cursor.fetchall())
        result.close()
        return rows

    def gathered(self, *questions: Question) -> list[list[Row]]:
        """The rows of several statements that need no answer of each other, each as `tuples` has them."""
        if self.dialect != "postgresql":
            return [self.tuples(*question) for question in questions]
        connection, asked = self.connection, list[object]()
        for statement, parameters in questions:
            connection.execute(statement, parameters, execution_options={"gathered": asked})
        driver: Any = connection.connection.driver_connection
        found: list[list[Row]] = driver.ask_together(asked)
        return found

    def insert(self, row: Base) -> None:
        """Insert one new row, which is the session's from then on, as after `add` and `flush`.

        The session's own way to work out what is to be written takes 0.15 ms more for each row.
        """
        mapper, values = inspect(type(row)), inspect(row).dict
        given = {name: value for name, value in values.items() if name in mapper.columns}
        values.update(self.inserted(type(row), given))
        make_transient_to_detached(row)
        self.session.add(row)

    def inserted(self, table: type[Base], given: Mapping[str, object]) -> Mapping[str, Any]:
        """Insert one new row, past the session's entities: what it has in all columns."""
        if self.dialect == "sqlite" and (made := driver.insert_row(self.connection, table, given)) is not None:
            return made
        reserved: int | None = self.asked_ahead(table)
        if reserved is not None:
            given = {**given, "id": reserved}
        options = {} if reserved is None else POSTPONED
        statement = _insert_statement(table, reserved is not None)
        result = self.connection.execute(statement, given, execution_options=options)
        sent: Any = result.last_inserted_params()
        values = {name: sent.get(name) for name in inspect(table).columns.keys()}  # noqa: SIM118 - it iterates columns
        values.update(result.inserted_primary_key._mapping if result.inserted_primary_key is not None else given)
        return values

    def insert_unkeyed(self, table: type[Base], given: Mapping[str, object]) -> None:
        """Insert one new row of which nobody asks for the key that the database draws, past the session's entities."""
        if self.dialect != "sqlite" or driver.insert_row(self.connection, table, given) is None:
            self.connection.execute(_insert_statement(table, True), given, execution_options=POSTPONED)

    def write_rows(self, statement: Insert, rows: Sequence[dict[str, object]]) -> None:
        """Insert rows past the session's entities, which take twice as long for a thousand of them."""
        if self.dialect == "postgresql" and statement.select is None:
            names = tuple(rows[0])
            columns = {name: [row[name] for row in rows] for name in names}
            self.connection.execute(_of_arrays(statement, names), columns, execution_options=POSTPONED)
        else:
            self.connection.execute(statement, list(rows))

    def advance(self, statement: Update, moments: Mapping[int, int], pause: int) -> None:
        """Execute an UPDATE with `at`, the moment of each row, `row`, its id, and `before`, `pause` earlier than `at`.

        Rows come in the order of their ids, so that two processes that do so at once wait for each other and no more.
        """
        rows = [{"row": id_, "at": at, "before": at - pause} for id_, at in sorted(moments.items())]
        if rows:
            self.connection.execute(statement, rows)

    def changed(self, statement: Update | Delete) -> bool:
        """Execute a statement; whether it met any row."""
        result = self.session.execute(statement)
        return isinstance(result, CursorResult) and result.rowcount > 0


@built_once
def _insert_statement(table: type[Base], inline: bool) -> Insert:
    statement = insert(table.__table__)  # type: ignore[arg-type] # a Table, though typed as any FromClause
    return statement.inline() if inline else statement


@lru_cache(MAX_SHAPES)
def _of_arrays(statement: Insert, names: tuple[str, ...]) -> Insert:
    """`statement` with all its rows in one array for each of its columns, so that it is one however many there are."""
    columns = [statement.table.c[name] for name in names]
    arrays = [bindparam(name, type_=ARRAY(each.type)) for name, each in zip(names, columns, strict=True)]
    rows = func.unnest(*arrays).table_valued(*(column(each.name, each.type) for each in columns)).render_derived()
    return statement.from_select([each.name for each in columns], select(*rows.c))


@built_once
def _entities_statement(table: type[Entity]) -> Select[Entity]:
    """Built once for a table: that takes several times as long as running it."""
    return select(table).where(table.__mapper__.primary_key[0].in_(bindparam("ids", expanding=True)))


def asked_values(
    owner: SQLColumnExpression[int],
    key: SQLColumnExpression[str],
    value: SQLColumnExpression[str],
    owners: Sequence[int],
) -> Question:
    """What `Repository.values` asks."""
    return _values_statement(owner, key, value), {"owners": owners}


def values_by_owner(rows: Iterable[Row]) -> dict[int, dict[str, str]]:
    """What `asked_values` finds, as `Repository.values` has it."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for owner, key, value in rows:
        found[owner][key] = value
    return found


@built_once
def _values_statement(
    owner: SQLColumnExpression[int], key: SQLColumnExpression[str], value: SQLColumnExpression[str]
) -> Select[*tuple[Any, ...]]:
    """Built once for a table, as above."""
    mine = owner.in_(bindparam("owners", expanding=True))
    return select(owner, key, value).where(mine).order_by(owner, key)


def storable(number: int) -> int:
    """`number` itself, or -1, which is nobody's id, when it is beyond what a column can hold."""
    return number if 0 <= number <= MAX_INT64 else -1


def between(column: SQLColumnExpression[Any], ends: Ends) -> Iterator[ColumnElement[bool]]:
    """The conditions that a number lies between two ends, as far as there are such; the ends belong to it."""
    low, high = ends
    if low is not None:
        yield column >= _bounded(low)
    if high is not None:
        yield column <= _bounded(high)


def _bounded(number: int) -> int:
    return min(max(number, -MAX_INT64), MAX_INT64)


def contains(needle: str) -> str:
    """A LIKE pattern, with `\\` as escape, for texts that contain `needle`. Raises ParameterError for a very long one.

    GitLab's own search takes as many characters.
    """
    if len(needle) > MAX_NEEDLE:
        raise ParameterError(f"Search query is too long (maximum is {MAX_NEEDLE} characters)")
    escaped = needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
