"""What is remembered holds for as long as nothing has changed, and never grows beyond its limit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard.registry.engine import Database
from modelyard.registry.schema import migrate
from modelyard.services.recent import Recent, RecentInGeneration
from tests.conftest import Account


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


def test_nothing_outlives_its_generation() -> None:
    generation: list[int | None] = [1]
    recent = RecentInGeneration[str](10, lambda: generation[0])
    _none, at = recent.get("k")
    recent.put("k", "v", at)
    assert recent.get("k") == ("v", 1)
    generation[0] = 2
    assert recent.get("k") == (None, 2)
    recent.put("k", "late", 1)
    assert recent.get("k") == (None, 2)
    generation[0] = None
    recent.put("k", "v", recent.get("k")[1])
    assert recent.get("k") == (None, None)


@pytest.mark.sqlite
def test_every_commit_begins_a_generation(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/db")
    migrate(database.engine)
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


def test_what_was_allowed_a_moment_ago_is_refused_at_once(
    root: httpx.Client,
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx.Client],
    version_url: str,
) -> None:
    project, user = version_url.split("/")[2], make_user()
    root.put(f"{version_url}/f", content=b"one")
    root.post(f"/projects/{project}/members", json={"user_id": user.id, "access_level": 20})
    token = make_token(user.id)
    other = client_for(token["token"])

    def twice(client: httpx.Client) -> list[int]:
        return [client.get(f"{version_url}/f").status_code for _ in range(2)]

    assert (twice(other), twice(user.client)) == ([200, 200], [200, 200])
    root.delete(f"/personal_access_tokens/{token['id']}")
    assert twice(other) == [401, 401]
    root.put(f"{version_url}/f", content=b"two")
    assert user.client.get(f"{version_url}/f").content == b"two"
    root.delete(f"/projects/{project}/members/{user.id}")
    assert twice(user.client) == [404, 404]
