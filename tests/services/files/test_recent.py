"""What is remembered holds for as long as nothing has changed, and never grows beyond its limit."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvloop

from modelyard.registry.backends.watching import once_a_turn
from modelyard.registry.engine import Database
from modelyard.services.files.recent import Recent
from tests.conftest import Account
from tests.databases import migrated_sqlite
from tests.live import LiveServer


def test_the_longest_unused_is_forgotten_first() -> None:
    recent = Recent[bytes](10, len)
    recent.put("a", bytes(4))
    recent.put("b", bytes(4))
    assert recent.get("a") is not None
    recent.put("c", bytes(4))
    assert [key for key in "abc" if recent.get(key) is not None] == ["a", "c"]
    recent.put("a", bytes(6))
    recent.put("huge", bytes(11))
    assert [key for key in ("a", "c", "huge") if recent.get(key) is not None] == []


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_one_turn_of_the_loop_has_one_answer(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    given = iter(range(1000))
    ask = once_a_turn(lambda: next(given))
    with pytest.raises(RuntimeError):
        ask()  # without a loop nothing would ever forget the answer

    async def turns() -> list[int]:
        answers = [ask(), ask()]
        await asyncio.sleep(0)
        return [*answers, ask(), ask()]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(turns()) == [0, 0, 1, 1]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_no_request_gets_an_answer_older_than_itself(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Its bytes are read right after somebody else has asked, and its task is queued by whoever reads them."""
    current = 0
    ask = once_a_turn(lambda: current)

    async def request() -> int:
        return ask()

    async def turns() -> int:
        nonlocal current
        loop, requests = asyncio.get_running_loop(), list[asyncio.Task[int]]()

        def read() -> None:
            nonlocal current
            current = 1
            requests.append(loop.create_task(request()))

        loop.call_soon(ask)
        loop.call_soon(read)
        await asyncio.sleep(0)
        return await requests[0]

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(turns()) == 1


@pytest.mark.sqlite
def test_every_commit_begins_a_generation(tmp_path: Path) -> None:
    database = Database(migrated_sqlite(tmp_path / "db"))
    first = database.generation()
    assert database.generation() == first
    other = sqlite3.connect(tmp_path / "db")
    other.execute("INSERT INTO blobs (sha256, size, created_at) VALUES ('a', 1, 0)")
    assert database.generation() == first
    other.commit()
    second = database.generation()
    assert second != first
    with database.writing() as registry:
        registry.blobs.ensure("b", 1)
    assert database.generation() not in (first, second)
    other.close()
    database.close()


def test_however_many_others_are_served_what_is_revoked_is_refused_at_once(
    root: httpx2.Client,
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
    server: LiveServer,
    version_url: str,
) -> None:
    root.put(f"{version_url}/f", content=b"one")
    project, user, over = version_url.split("/")[2], make_user(), threading.Event()
    root.post(f"/projects/{project}/members", json={"user_id": user.id, "access_level": 20})

    def read_on() -> int:
        with server.client(user.token) as client:
            while not over.is_set():
                assert client.get(f"{version_url}/f").status_code == 200
        return 200

    with ThreadPoolExecutor(8) as threads:
        readers = [threads.submit(read_on) for _ in range(8)]
        try:
            for _ in range(20):
                token = make_token(user.id)
                with server.client(token["token"]) as client:
                    assert [client.get(f"{version_url}/f").status_code for _ in range(2)] == [200, 200]
                    root.delete(f"/personal_access_tokens/{token['id']}")
                    assert client.get(f"{version_url}/f").status_code == 401
        finally:
            over.set()
        assert [reader.result() for reader in readers] == [200] * 8


def test_what_was_allowed_a_moment_ago_is_refused_at_once(
    root: httpx2.Client,
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx2.Client],
    version_url: str,
) -> None:
    project, user = version_url.split("/")[2], make_user()
    root.put(f"{version_url}/f", content=b"one")
    root.post(f"/projects/{project}/members", json={"user_id": user.id, "access_level": 20})
    token = make_token(user.id)
    other = client_for(token["token"])

    def twice(client: httpx2.Client) -> list[int]:
        return [client.get(f"{version_url}/f").status_code for _ in range(2)]

    assert (twice(other), twice(user.client)) == ([200, 200], [200, 200])
    root.delete(f"/personal_access_tokens/{token['id']}")
    assert twice(other) == [401, 401]
    root.put(f"{version_url}/f", content=b"two")
    assert user.client.get(f"{version_url}/f").content == b"two"
    root.delete(f"/projects/{project}/members/{user.id}")
    assert twice(user.client) == [404, 404]
