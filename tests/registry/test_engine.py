"""Who waits for whom among the threads of a database, and how long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from modelyard.departures import Client, ClientGone, begin
from modelyard.errors import ApiError, TooDear, Unavailable
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.services.people.setup import prepare
from modelyard.settings import Settings
from tests.databases import migrated_database
from tests.waiting import eventually


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = migrated_database(tmp_path)
    prepare(Settings(_env_file=None, data_dir=tmp_path, database_url=url))  # type: ignore[call-arg]
    made = Database(url)
    yield made
    made.close()


class Held:
    """Work on a thread that ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.over, self.found = threading.Event(), threading.Event(), object()

    def __call__(self, _registry: Registry) -> object:
        self.begun.set()
        assert self.over.wait(30)
        return self.found


def test_long_reads_and_writes_hold_up_no_others(database: Database) -> None:
    waiting, over = threading.Barrier(6), threading.Event()

    def hold(_registry: object) -> bool:
        waiting.wait(30)
        return over.wait(30)

    async def read_meanwhile() -> None:
        held = [
            asyncio.ensure_future(each)
            for each in (*(database.read_long(hold) for _ in range(4)), database.write(hold))
        ]
        await asyncio.to_thread(waiting.wait, 30)
        for read in (database.read, database.read_file):
            assert await asyncio.wait_for(read(lambda registry: registry.users.by_id(1) is not None), 30)
        over.set()
        assert all(await asyncio.gather(*held))

    asyncio.run(read_meanwhile())


@pytest.mark.parametrize(
    ("kind", "refusal"), [("read", Unavailable), ("read_file", Unavailable), ("read_long", TooDear)]
)
def test_whoever_waits_for_a_read_is_answered_at_its_deadline(
    database: Database, kind: str, refusal: type[ApiError]
) -> None:
    database.read_seconds, held = 0.1, Held()

    async def wait() -> None:
        with pytest.raises(refusal):
            await getattr(database, kind)(held)
        held.over.set()
        database.read_seconds = 30
        assert await getattr(database, kind)(lambda registry: registry.users.by_id(1) is not None)

    asyncio.run(wait())


def test_what_did_not_begin_by_its_deadline_never_does(database: Database) -> None:
    held, others = [Held() for _ in range(4)], Held()

    async def wait() -> None:
        running = [asyncio.ensure_future(database.read_long(each)) for each in held]
        await asyncio.to_thread(lambda: [each.begun.wait(30) for each in held])
        database.read_seconds = 0.1
        with pytest.raises(Unavailable):
            await database.read_long(others)
        for each in held:
            each.over.set()
        await asyncio.gather(*running)

    asyncio.run(wait())
    assert not others.begun.is_set()


def test_a_read_whose_task_is_cancelled_ends_before_its_next_statement(database: Database) -> None:
    ended = threading.Event()

    def work(registry: Registry) -> None:
        while True:
            registry.session.execute(text("SELECT 1")).all()

    async def cancel() -> None:
        reading = asyncio.ensure_future(database.read_long(work, ended.set))
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await asyncio.to_thread(ended.wait, 30)

    asyncio.run(cancel())
    assert ended.is_set()


def test_what_is_opened_for_a_client_that_is_gone_is_closed(database: Database) -> None:
    held, closed = Held(), list[object]()

    async def leave() -> None:
        client = Client()
        begin(client)
        reading = asyncio.ensure_future(database.read_file(held, closed.append))
        await asyncio.to_thread(held.begun.wait, 30)
        client.leave()
        with pytest.raises(ClientGone):
            await reading
        held.over.set()
        await asyncio.to_thread(eventually, lambda: bool(closed))

    asyncio.run(leave())
    assert closed == [held.found]


def test_nothing_is_begun_for_a_client_that_is_gone(database: Database) -> None:
    held, ended = Held(), list[bool]()

    async def late() -> None:
        client = Client()
        begin(client)
        client.leave()
        with pytest.raises(ClientGone):
            await database.read_long(held, lambda: ended.append(True))

    asyncio.run(late())
    assert ended == [True]
    assert not held.begun.is_set()
