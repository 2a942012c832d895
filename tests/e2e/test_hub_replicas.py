"""Commits on several replicas: the same everywhere, and one that was told goes on on all of them."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.e2e.processes import new_version, replicas

OWNER = "root"  # whose namespace it is


@pytest.mark.slow
def test_a_commit_that_one_replica_told_goes_on_on_the_other(tmp_path: Path) -> None:
    with replicas(tmp_path, 2) as servers:
        one, other = (server.client for server in servers)
        with one, other:
            files = new_version(one, "p")
            one.put(f"{files}/a", content=b"old")
            first = _ask(one, f"/api/models/{OWNER}/p").json()
            assert _ask(other, f"/api/models/{OWNER}/p").json() == first
            assert other.put(f"{files}/a", content=b"new").status_code == 201
            one.put(f"{files}/b", content=b"b")
            for client in (one, other):
                assert _ask(client, f"/{OWNER}/p/resolve/main/a").content == b"new"
                assert _ask(client, f"/{OWNER}/p/resolve/{first['sha']}/a").content == b"old"
                assert _ask(client, f"/{OWNER}/p/resolve/{first['sha']}/b").headers["x-error-code"] == "EntryNotFound"
                assert _ask(client, f"/api/models/{OWNER}/p/revision/{first['sha']}").json() == first
            second = {_ask(client, f"/{OWNER}/p/resolve/main/b").headers["x-repo-commit"] for client in (one, other)}
            assert len(second) == 1
            assert second != {first["sha"]}


def _ask(client: httpx2.Client, path: str) -> httpx2.Response:
    return client.get(client.base_url.join(path))
