"""Statements that SQLite's own driver is asked say and keep what they do through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import bindparam, event, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from modelyard.registry import driver, reads
from modelyard.registry.base import Repository
from modelyard.registry.engine import Database
from modelyard.registry.reads import Stopped, Unit
from modelyard.registry.repository import Registry
from modelyard.registry.tables import AuditEvent, Base, Blob, User

pytestmark = pytest.mark.sqlite

BY_NAME = select(User.id, User.admin).where(User.username == bindparam("name"), User.state == "active")
DIGEST = "a" * 64


@pytest.fixture
def registry(database: Database) -> Iterator[Registry]:
    with database.writing() as found:
        yield found


def tables() -> list[type[Base]]:
    return sorted((mapper.class_ for mapper in Base.registry.mappers), key=lambda table: str(table.__tablename__))


def test_a_row_is_as_the_driver_has_it(registry: Registry) -> None:
    user = registry.users.add("one")
    assert Repository(registry.transaction).row(BY_NAME, {"name": "one"}) == (user.id, 0)
    assert Repository(registry.transaction).row(BY_NAME, {"name": "two"}) is None


@pytest.mark.parametrize("table", tables(), ids=lambda table: str(table.__tablename__))
def test_a_row_has_what_sqlalchemy_would_give_it(registry: Registry, table: type[Base]) -> None:
    """All columns that are given in neither way have the same defaults, in the types of the database."""
    connection, into = registry.transaction.connection, table.__table__
    connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    columns: list[Any] = list(into.columns)
    given = {
        column.name: 1 if column.type.python_type in (int, float) else column.type.python_type(1)
        for column in columns
        if not column.nullable and column.default is None and column is not into.autoincrement_column  # type: ignore[attr-defined]
    }
    given = {name: value for name, value in given.items() if into.columns[name].server_default is None}
    names = [column.name for column in columns if column.name not in ("id", "created_at", "updated_at")]
    asked = select(*(into.columns[name] for name in names))

    def kept() -> tuple[Any, ...]:
        (found,) = connection.execute(asked).all()
        connection.execute(into.delete())  # type: ignore[attr-defined] # a Table
        return tuple(found)

    for trigger in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all():
        connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
    connection.execute(into.delete())  # type: ignore[attr-defined] # a Table
    made = driver.insert_row(connection, table, given)
    mine = kept() if made is not None else None
    connection.execute(insert(table), [given])
    theirs = kept()
    registry.session.rollback()
    if made is None:
        assert any(column.server_default is not None for column in columns)
    else:
        assert mine == theirs
        assert {name: made[name] for name in names} == dict(zip(names, theirs, strict=True))


def test_a_row_s_key_is_the_one_that_was_drawn(registry: Registry) -> None:
    connection, of = registry.transaction.connection, {"author_id": 1, "entity_type": "User", "entity_id": 1}
    given = {**of, "event_name": "e", "details": "{}", "created_at": 1}
    rows = [driver.insert_row(connection, AuditEvent, given) for _ in range(2)]
    ids = [row and row["id"] for row in rows]
    assert ids == list(connection.execute(select(AuditEvent.id).order_by(AuditEvent.id)).scalars())


def test_an_error_is_sqlalchemy_s(registry: Registry) -> None:
    registry.blobs.insert_unkeyed(Blob, {"sha256": DIGEST, "size": 1})
    with pytest.raises(IntegrityError, match="UNIQUE constraint failed"):
        registry.blobs.insert_unkeyed(Blob, {"sha256": DIGEST, "size": 1})


def test_an_error_says_where_there_is_no_room(database: Database) -> None:
    with database.writing() as registry:
        pages = registry.transaction.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        registry.transaction.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        def fill() -> None:
            for number in range(100_000):
                registry.blobs.ensure(f"{number:064d}", 1)

        with pytest.raises(OperationalError, match="database or disk is full: "):
            fill()


def test_a_read_that_is_to_end_asks_nothing_more(registry: Registry) -> None:
    unit = Unit(lambda _connection: None)
    unit.begin()
    unit.stopped = True
    with pytest.raises(Stopped):
        Repository(registry.transaction).row(BY_NAME, {"name": "one"})
    reads._running.set(None)


def test_a_statement_is_told_of_as_sqlalchemy_s_own_are(database: Database) -> None:
    told: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *context: told.append(context[2]))
    with database.writing() as registry:
        registry.blobs.ensure(DIGEST, 1)
    assert [statement.split()[:3] for statement in told] == [["INSERT", "INTO", "blobs"]]


def test_a_list_among_the_parameters_is_refused(registry: Registry) -> None:
    many = select(User.id).where(User.id.in_(bindparam("ids", expanding=True)))
    with pytest.raises(TypeError, match="another text"):
        Repository(registry.transaction).row(many, {"ids": [1]})
