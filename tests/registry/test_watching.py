"""Whether marks still hold is told by what the database has when it is asked, or not at all."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from modelyard.registry.backends import postgresql_watch
from modelyard.registry.backends.postgresql_watch import PostgreSQLWatch
from modelyard.registry.engine import Database
from modelyard.registry.marks import Marks
from modelyard.registry.repository import Registry
from tests import postgres
from tests.databases import ON_POSTGRESQL, migrated_database, migrated_sqlite
from tests.pgbouncer import running_pgbouncer

on_postgresql = pytest.mark.skipif(not ON_POSTGRESQL, reason="it is about PostgreSQL")

CHANGE = text("INSERT INTO marks (scope, slot, mark) VALUES ('project 1', :slot, :mark)")
NEVER: Marks = (("user 1", 0), ("project 1", 0))
CHANGED: Marks = (("user 1", 0), ("project 1", 7))


def change(database: Database, mark: int = 7, slot: int = 0) -> None:
    database.write_now(lambda registry: registry.session.execute(CHANGE, {"slot": slot, "mark": mark}))


async def holds(database: Database, marks: Marks) -> bool:
    """As a request asks that comes now: its task is queued when its bytes have been read."""
    return await asyncio.create_task(database.holds(marks))


async def until_it_holds(database: Database, marks: Marks) -> None:
    while not await holds(database, marks):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


def run(database: Database, work: Callable[[], Awaitable[None]]) -> None:
    """Run some work on an event loop, once lookups can be remembered, and close the database."""

    async def all_of_it() -> None:
        await until_it_holds(database, NEVER)
        await work()

    try:
        asyncio.run(asyncio.wait_for(all_of_it(), 60))
    finally:
        database.close()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(migrated_database(tmp_path))


def watch_of(database: Database) -> PostgreSQLWatch:
    assert isinstance(database._watch, PostgreSQLWatch)
    return database._watch


def test_what_changes_holds_no_more_and_all_else_does(database: Database) -> None:
    async def work() -> None:
        change(database)
        assert [await holds(database, each) for each in (NEVER, CHANGED, NEVER[:1])] == [False, True, True]
        change(database, 5, slot=1)
        assert [await holds(database, each) for each in (CHANGED, (("project 1", 12),))] == [False, True]
        assert not await holds(database, ())  # of what is not known, nothing is told

    run(database, work)


def test_what_is_rolled_back_has_changed_nothing(database: Database) -> None:
    async def work() -> None:
        def fail(registry: Registry) -> None:
            registry.session.execute(CHANGE, {"slot": 0, "mark": 7})
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            database.write_now(fail)
        assert await holds(database, NEVER)

    run(database, work)


def test_another_process_s_change_is_seen(database: Database) -> None:
    other = Database(str(database.engine.url.render_as_string(hide_password=False)))

    async def work() -> None:
        for mark in range(1, 20):
            assert await holds(database, (("project 1", mark - 1),))
            other.write_now(lambda registry: registry.session.execute(text("DELETE FROM marks")))
            change(other, mark)
            assert not await holds(database, (("project 1", mark - 1),))

    run(database, work)
    other.close()


@pytest.mark.sqlite
def test_a_database_in_memory_and_one_that_is_away_tell_nothing(tmp_path: Path) -> None:
    for url in ("sqlite://", f"sqlite:///{tmp_path}/none/db"):
        database = Database(url)
        assert not asyncio.run(database.holds(NEVER))
        database.close()


@pytest.mark.sqlite
def test_a_database_that_knows_no_marks_tells_nothing(tmp_path: Path) -> None:
    database = Database(migrated_sqlite(tmp_path / "db"))
    database.write_now(lambda registry: registry.session.execute(text("DROP TABLE marks")))
    assert not asyncio.run(database.holds(NEVER))
    database.close()


@on_postgresql
def test_no_request_gets_an_answer_older_than_itself(database: Database) -> None:
    """The answer to an earlier request is on its way already when a change is acknowledged, and the next one comes."""

    async def work() -> None:
        watch = watch_of(database)
        earlier = asyncio.create_task(database.holds(NEVER))
        while watch._running is None:  # noqa: ASYNC110 - for a turn
            await asyncio.sleep(0)
        assert select.select([watch._descriptor], [], [], 30)[0]  # what the server had by now
        change(database)
        later = [asyncio.create_task(database.holds(NEVER)) for _ in range(3)]
        assert await earlier
        assert [await each for each in later] == [False] * 3

    run(database, work)


@on_postgresql
def test_requests_that_come_together_share_a_statement(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = 0
    send = PostgreSQLWatch._send

    def counted(self: PostgreSQLWatch) -> None:
        nonlocal sent
        sent += self._next is not None and self._running is None
        send(self)

    async def work() -> None:
        asked = [database.holds(NEVER if number % 2 else CHANGED) for number in range(100)]
        assert await asyncio.gather(*asked) == [False, True] * 50
        assert sent == 1

    monkeypatch.setattr(PostgreSQLWatch, "_send", counted)
    while_connecting = work

    async def counting() -> None:
        nonlocal sent
        sent = 0
        await while_connecting()

    run(database, counting)


@on_postgresql
def test_whoever_leaves_takes_nobody_s_answer_with_him(database: Database) -> None:
    async def work() -> None:
        leaving, staying = (asyncio.create_task(database.holds(NEVER)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying
        with pytest.raises(asyncio.CancelledError):
            await leaving

    run(database, work)


@on_postgresql
def test_more_than_a_statement_should_ask_is_looked_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_watch, "MAX_SCOPES", 10)

    async def work() -> None:
        asked = [database.holds(((f"project {number}", 0),)) for number in range(40)]
        assert sum(await asyncio.gather(*asked)) == 11

    run(database, work)


@on_postgresql
@pytest.mark.parametrize("way", ["directly", "through a pooler"])
def test_a_connection_that_is_cut_tells_nothing_until_it_is_replaced(
    way: str, monkeypatch: pytest.MonkeyPatch, own_cluster: postgres.Cluster
) -> None:
    monkeypatch.setattr(postgresql_watch, "PAUSE_SECONDS", 0.0)

    def cut() -> None:
        own_cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'")

    def check(url: str) -> None:
        database = Database(url)

        async def work() -> None:
            for mark in range(1, 4):
                before = watch_of(database)._session
                change(database, mark, slot=mark)
                cut()
                total = (("project 1", mark * (mark + 1) // 2),)
                while watch_of(database)._session is before:
                    await holds(database, total)
                await until_it_holds(database, total)
                assert not await holds(database, NEVER)

        run(database, work)

    url = own_cluster.fresh()
    if way == "directly":
        check(url)
    else:
        with running_pgbouncer(own_cluster, "session") as pooler:
            check(pooler.before(url))


@on_postgresql
def test_nobody_waits_long_for_a_server_that_does_not_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_watch, "ANSWER_SECONDS", 0.05)

    async def work() -> None:
        with database.engine.connect() as blocking:
            blocking.execute(text("LOCK TABLE marks IN ACCESS EXCLUSIVE MODE"))
            with capture_logs() as logged:
                assert await asyncio.gather(*(database.holds(NEVER) for _ in range(5))) == [False] * 5
            assert [line["error"] for line in logged] == ["no answer in time"]
            blocking.rollback()
        monkeypatch.setattr(postgresql_watch, "ANSWER_SECONDS", 30.0)
        monkeypatch.setattr(postgresql_watch, "PAUSE_SECONDS", 0.0)
        await until_it_holds(database, NEVER)

    run(database, work)


@on_postgresql
def test_a_statement_that_fails_tells_nothing(database: Database) -> None:
    async def work() -> None:
        database.write_now(lambda registry: registry.session.execute(text("DROP TABLE marks")))
        assert not await holds(database, NEVER)
        await asyncio.sleep(0.05)
        assert not await holds(database, NEVER)  # nor can another connection be prepared

    run(database, work)


@on_postgresql
def test_a_server_that_follows_another_tells_nothing(own_cluster: postgres.Cluster) -> None:
    """It may not know yet what the other one has acknowledged."""
    database = Database(own_cluster.fresh())

    async def work() -> None:
        own_cluster.stop()
        (own_cluster.folder / "data" / "standby.signal").touch()
        own_cluster.start()
        try:
            await asyncio.sleep(0)
            watch = watch_of(database)
            asked: list[bool] = []
            while watch._session is None or len(asked) < 3:
                asked.append(await holds(database, NEVER))
                await asyncio.sleep(0.02)
            assert not any(asked)
            assert not await holds(database, NEVER)
        finally:
            own_cluster.stop()
            (own_cluster.folder / "data" / "standby.signal").unlink()
            own_cluster.start()

    run(database, work)


@on_postgresql
def test_a_server_that_is_away_is_asked_for_once_in_a_while(
    own_cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(own_cluster.fresh())

    async def work() -> None:
        def failures() -> int:
            return sum(line["event"] == "lookups are not remembered" for line in logged)

        own_cluster.stop()
        with capture_logs() as logged:
            monkeypatch.setattr(postgresql_watch, "PAUSE_SECONDS", 0.0)
            while not failures():
                assert not await holds(database, NEVER)
                await asyncio.sleep(0)
            monkeypatch.setattr(postgresql_watch, "PAUSE_SECONDS", 3600.0)
            assert not any([await holds(database, NEVER) for _ in range(50)])
            assert failures() <= 2  # one was under way
        own_cluster.start()

    run(database, work)


@on_postgresql
def test_a_database_goes_with_its_loop_to_the_next_one(tmp_path: Path) -> None:
    database = Database(migrated_database(tmp_path))

    async def once() -> None:
        await until_it_holds(database, NEVER)

    for _ in range(2):
        asyncio.run(once())
    database.close()


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[postgres.Cluster]:
    own = postgres.new_cluster()
    yield own
    own.remove()
