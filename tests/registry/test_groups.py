"""Brief writes that came together share a commit, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, OperationalError
from structlog.testing import capture_logs

from modelyard.errors import Forbidden
from modelyard.hops import hand_on
from modelyard.registry import groups
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry

pytestmark = pytest.mark.sqlite  # elsewhere there are many writers at once

ADD = text("INSERT INTO blobs (sha256, size, created_at) VALUES (:sha256, 1, 0)")
COUNT = text("SELECT count(*) FROM blobs")


def adding(sha256: str) -> Callable[[Registry], str]:
    def add(registry: Registry) -> str:
        registry.session.execute(ADD, {"sha256": sha256})
        return sha256

    return add


def refused(registry: Registry) -> str:
    adding("refused")(registry)
    raise Forbidden("no")


@contextmanager
def commits(database: Database) -> Iterator[list[object]]:
    made: list[object] = []

    def note(connection: object) -> None:
        made.append(connection)

    event.listen(database.engine, "commit", note)
    yield made
    event.remove(database.engine, "commit", note)


async def at_once(database: Database, *works: Callable[[Registry], str]) -> list[str | BaseException]:
    """What comes of writes that all have queued before the first of them begins."""
    free = threading.Event()
    first = asyncio.create_task(database.write(lambda _registry: free.wait(60)))
    asked: list[Awaitable[str]] = [asyncio.create_task(database.write(work, brief=True)) for work in works]
    await asyncio.sleep(0)
    free.set()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert await first
    return found


def known(database: Database) -> int:
    return int(database.read_now(lambda registry: registry.session.execute(COUNT).scalar_one()))


def test_those_that_came_together_share_a_commit(database: Database) -> None:
    with commits(database) as made:
        assert asyncio.run(at_once(database, *map(adding, "abcdef"))) == list("abcdef")
    assert (len(made), known(database)) == (1, 6)


def test_a_group_has_an_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MAX_MEMBERS", 2)
    with commits(database) as made:
        assert asyncio.run(at_once(database, *map(adding, "abcde"))) == list("abcde")
    assert (len(made), known(database)) == (3, 5)


def test_one_that_is_refused_takes_back_what_is_its_own_alone(database: Database) -> None:
    found = asyncio.run(at_once(database, adding("a"), refused, adding("b")))
    assert [str(each) if isinstance(each, str) else type(each) for each in found] == ["a", Forbidden, "b"]
    assert known(database) == 2


def test_where_the_database_fails_each_is_done_by_itself(database: Database) -> None:
    with capture_logs() as logged:
        found = asyncio.run(at_once(database, adding("a"), adding("a"), refused, adding("b")))
    assert [type(each) for each in found] == [str, IntegrityError, Forbidden, str]
    assert known(database) == 2
    assert [line["count"] for line in logged if line["event"] == "writes are committed one by one"] == [4]


def test_a_commit_that_fails_is_nobody_s_answer(database: Database) -> None:
    failures = iter([None, OperationalError("COMMIT", None, Exception("disk I/O error"))])

    def fail(_connection: object) -> None:
        if error := next(failures, None):
            raise error

    event.listen(database.engine, "commit", fail)
    assert asyncio.run(at_once(database, adding("a"), adding("b"))) == ["a", "b"]
    assert known(database) == 2


def test_nobody_is_answered_before_the_commit(database: Database) -> None:
    answered: list[str] = []

    def looking(_connection: object) -> None:
        assert answered == []

    async def work() -> None:
        found = asyncio.create_task(at_once(database, *map(adding, "abc")))
        event.listen(database.engine, "commit", looking)
        answered.extend(str(each) for each in await found)

    asyncio.run(work())
    assert answered == ["a", "b", "c"]


def test_whoever_has_left_by_then_is_not_waited_for(database: Database) -> None:
    async def work() -> None:
        free = threading.Event()
        first = asyncio.create_task(database.write(lambda _registry: free.wait(60)))
        leaving, staying = (asyncio.create_task(database.write(adding(each), brief=True)) for each in "ab")
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        free.set()
        assert (await first, await staying) == (True, "b")

    asyncio.run(work())
    assert known(database) == 1


def prepared(work: Callable[[Registry], str]) -> Callable[[], Callable[[Registry], str]]:
    return lambda: work


@pytest.mark.parametrize("together", [False, True], ids=["alone", "together"])
def test_what_is_prepared_is_told_of_once_it_is_kept(database: Database, together: bool) -> None:
    kept: list[int] = []

    async def work() -> list[str]:
        with ThreadPoolExecutor(1) as executor:
            free = threading.Event()
            first = asyncio.create_task(database.write(lambda _registry: free.wait(60)))
            asked = [
                asyncio.create_task(database.write_after(executor, prepared(adding(each)), lambda: kept.append(1)))
                for each in ("ab" if together else "a")
            ]
            await asyncio.sleep(0)
            await hand_on(executor, lambda: None)  # all are prepared, and wait for the writer
            assert kept == []
            free.set()
            assert await first
            return await asyncio.gather(*asked)

    assert asyncio.run(work()) == list("ab" if together else "a")
    assert (len(kept), known(database)) == (2, 2) if together else (1, 1)


def test_what_is_not_kept_is_not_told_as_kept(database: Database) -> None:
    kept: list[int] = []

    async def work() -> list[str | BaseException]:
        with ThreadPoolExecutor(1) as executor:
            asked = [database.write_after(executor, prepared(each), lambda: kept.append(1)) for each in (refused,) * 2]
            return await asyncio.gather(*asked, return_exceptions=True)

    assert [type(each) for each in asyncio.run(work())] == [Forbidden, Forbidden]
    assert (kept, known(database)) == ([], 0)


def test_what_cannot_be_prepared_is_not_written(database: Database) -> None:
    def prepare() -> Callable[[Registry], str]:
        raise Forbidden("no")

    async def work() -> str:
        with ThreadPoolExecutor(1) as executor:
            return await database.write_after(executor, prepare, lambda: None)

    with pytest.raises(Forbidden):
        asyncio.run(work())
    assert known(database) == 0


def test_what_nobody_waits_for_any_more_is_not_prepared(database: Database) -> None:
    begun: list[int] = []

    def prepare() -> Callable[[Registry], str]:
        begun.append(1)
        return adding("a")

    async def work() -> None:
        with ThreadPoolExecutor(1) as executor:
            free = threading.Event()
            first = hand_on(executor, lambda: free.wait(60))
            left = asyncio.create_task(database.write_after(executor, prepare, lambda: None))
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.sleep(0)
            free.set()
            assert await first

    asyncio.run(work())
    assert (begun, known(database)) == ([], 0)
