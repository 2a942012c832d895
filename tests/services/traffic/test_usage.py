"""Last uses of tokens and packages: written seldom, by one task, and never lost while the server can write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.exc import OperationalError

from modelyard.clock import iso, now
from modelyard.registry.engine import Database
from modelyard.services.traffic import usage
from modelyard.services.traffic.usage import PAUSE
from tests.conftest import Account
from tests.live import LiveServer, running


def write(server: LiveServer, pause: int = PAUSE) -> None:
    asyncio.run(server.app.state.usage.write(pause))


def last_used(client: httpx2.Client) -> str | None:
    return client.get("/personal_access_tokens/self").json()["last_used_at"]  # type: ignore[no-any-return]


def test_a_use_is_shown_once_it_is_written_and_not_again_for_a_while(
    server: LiveServer, make_user: Callable[..., Account]
) -> None:
    person, before = make_user(), now()
    assert last_used(person.client) is None
    write(server)
    first = last_used(person.client)
    assert first is not None
    assert (iso(before) or "") <= first <= (iso(now()) or "")
    write(server)
    assert last_used(person.client) == first
    write(server, 0)
    assert last_used(person.client) > first  # type: ignore[operator]


@pytest.mark.sqlite
def test_requests_alone_write_nothing_and_neither_does_a_round_without_news(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    database: Database = server.app.state.database
    root.put(f"{version_url}/f", content=b"x")
    root.get(f"{version_url}/f")
    write(server, 0)
    generation = database.generation()
    for _ in range(3):
        assert root.get(f"{version_url}/f").status_code == 200
        assert root.get("/user").status_code == 200
    write(server)
    assert database.generation() == generation
    write(server, 0)
    assert database.generation() != generation


def test_every_way_in_counts_and_a_refusal_does_not(
    server: LiveServer,
    root: httpx2.Client,
    make_user: Callable[..., Account],
    client_for: Callable[[str], httpx2.Client],
    make_token: Callable[..., dict[str, Any]],
    version_url: str,
) -> None:
    project = version_url.split("/")[2]
    person = make_user()
    root.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": 30})
    mlflow = f"/projects/{project}/ml/mlflow/api/2.0/mlflow/registered-models/search"
    ways: list[Callable[[httpx2.Client], httpx2.Response]] = [
        lambda client: client.put(f"{version_url}/f/authorize"),
        lambda client: client.put(f"{version_url}/f", content=b"x"),
        lambda client: client.get(f"{version_url}/f"),
        lambda client: client.get(f"{version_url}/f"),  # from memory
        lambda client: client.get(mlflow),
        lambda client: client.get("/user"),
    ]
    for way in ways:
        token = make_token(person.id)
        assert way(client_for(token["token"])).is_success
        write(server)
        assert root.get(f"/personal_access_tokens/{token['id']}").json()["last_used_at"] is not None
    token = make_token(person.id)
    root.delete(f"/personal_access_tokens/{token['id']}")
    assert client_for(token["token"]).get("/user").status_code == 401
    write(server)
    assert root.get(f"/personal_access_tokens/{token['id']}").json()["last_used_at"] is None


def test_what_another_process_wrote_lately_stands(server: LiveServer, make_user: Callable[..., Account]) -> None:
    person = make_user()
    own, theirs = person.client.get("/personal_access_tokens/self").json()["id"], now() - 1000
    with server.app.state.database.writing() as registry:
        token = registry.tokens.by_id(own)
        assert token is not None
        token.last_used_at = theirs
    write(server)
    assert last_used(person.client) == iso(theirs)


def test_a_download_counts_for_its_package_and_a_look_at_its_headers_does_not(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    packages = f"/projects/{version_url.split('/')[2]}/packages"
    root.put(f"{version_url}/f", content=b"x")
    root.head(f"{version_url}/f")
    write(server, 0)
    before = root.get(packages).json()[0]
    assert before["last_downloaded_at"] is None
    root.get(f"{version_url}/f")
    write(server, 0)
    after = root.get(packages).json()[0]
    assert after["last_downloaded_at"] is not None
    assert after | {"last_downloaded_at": None} == before


def test_while_the_database_is_away_nothing_is_forgotten(
    server: LiveServer, make_user: Callable[..., Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    person = make_user()
    assert last_used(person.client) is None

    async def away(_database: Database, _work: object) -> None:
        raise OperationalError("UPDATE", None, Exception("away"))

    with monkeypatch.context() as patched:
        patched.setattr(Database, "write", away)
        write(server)
    assert last_used(person.client) is None
    write(server)
    assert last_used(person.client) is not None


def test_a_stop_writes_what_is_left_and_rounds_write_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path) as live, live.client(live.root_token) as root:
        assert last_used(root) is None
    monkeypatch.setattr(usage, "ROUND_SECONDS", 0.01)
    with running(tmp_path) as live, live.client(live.root_token) as root:
        stopped_at = last_used(root)
        assert stopped_at is not None
        user = root.post("/users", json={"username": "other"}).json()["id"]
        made = root.post(f"/users/{user}/personal_access_tokens", json={"name": "n", "scopes": ["api"]}).json()
        with live.client(made["token"]) as other:
            for _ in range(500):
                if last_used(other) is not None:
                    break
                time.sleep(0.01)
            assert last_used(other) is not None
