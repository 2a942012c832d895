"""A transaction begins, and has a session, when somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import event, func, select

from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.tables import User
from modelyard.terms.paths import OwnerKind, OwnerRef


@pytest.fixture
def seen(database: Database) -> Iterator[list[str]]:
    found: list[str] = []

    def begin(_connection: object) -> None:
        found.append("begin")

    def commit(_connection: object) -> None:
        found.append("commit")

    event.listen(database.engine, "begin", begin)
    event.listen(database.engine, "commit", commit)
    yield found
    event.remove(database.engine, "begin", begin)
    event.remove(database.engine, "commit", commit)


def look(registry: Registry) -> bool:
    found = registry.locations.find(None, 1, OwnerRef(OwnerKind.VERSION, 1), "f")
    assert found.project is None
    return "session" in vars(registry.transaction)


def test_a_look_up_needs_no_session_and_a_single_one_no_transaction(database: Database, seen: list[str]) -> None:
    assert not database.read_now(look)
    assert seen == ["begin"]
    assert not database.read_now(look, single=True)
    if database.engine.dialect.name == "sqlite":
        assert seen == ["begin"]


def test_what_asks_nothing_begins_nothing(database: Database, seen: list[str]) -> None:
    assert database.read_now(lambda _registry: 1) == 1
    assert database.write_now(lambda _registry: 2) == 2
    assert seen == []


def test_what_a_session_has_not_written_yet_is_written_with_the_rest(database: Database, seen: list[str]) -> None:
    def work(registry: Registry) -> None:
        user = registry.users.add("one")
        user.name = "changed"

    database.write_now(work)
    assert seen == ["begin", "commit"]
    assert database.read_now(lambda registry: registry.session.scalar(select(User.name))) == "changed"


def test_nothing_is_kept_of_what_fails(database: Database, seen: list[str]) -> None:
    def work(registry: Registry) -> None:
        registry.users.add("one")
        raise ValueError("thought better of it")

    with pytest.raises(ValueError, match="thought better"):
        database.write_now(work)
    assert seen == ["begin"]
    assert database.read_now(lambda registry: registry.session.scalar(select(func.count()).select_from(User))) == 0


def test_an_entity_that_is_forgotten_is_read_anew(database: Database) -> None:
    with database.writing() as registry:
        registry.transaction.forget()
        user = registry.users.add("one")
        registry.transaction.forget()
        assert registry.session.get(User, user.id) is not user


def test_a_connection_whose_commit_failed_is_as_good_as_new(database: Database) -> None:
    failures = iter([ValueError("no room")])

    def fail(_connection: object) -> None:
        if error := next(failures, None):
            raise error

    event.listen(database.engine, "commit", fail)
    with pytest.raises(ValueError, match="no room"):
        database.write_now(lambda registry: registry.users.add("one"))
    assert database.read_now(lambda registry: registry.users.any()) is False
    database.write_now(lambda registry: registry.users.add("two"))
    assert database.read_now(lambda registry: list(registry.session.scalars(select(User.username)))) == ["two"]
