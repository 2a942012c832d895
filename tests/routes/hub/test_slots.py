"""Uploads of one token at a time are counted together, by whichever way and secret they come; so are bodies."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from modelyard.access.tokens import digest_of
from modelyard.services.hub import objects
from modelyard.services.traffic.body_budget import Claim
from tests.live import LiveServer, running
from tests.raw import read_answer
from tests.routes.hub.conftest import Repo
from tests.routes.hub.sending import Cas, chunk, commit, file, header, offered, post, sha256, shard
from tests.routes.hub.test_names import refused
from tests.waiting import eventually

CONTENT = bytes(2_000_000)
LIMIT = (429, None)
REPO = "root/m"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    with running(tmp_path, max_uploads_per_token=1) as live:
        yield live


def test_bodies_of_one_token_are_counted_as_one_senders(
    hub: httpx2.Client,
    stranger: httpx2.Client,
    server: LiveServer,
    make_repo: Callable[..., Repo],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objects, "PART_BYTES", 4)
    repo, senders = make_repo({}), []
    budget = server.app.state.bodies.budget
    whole = budget.claim

    def claim(sender: str) -> AbstractContextManager[Claim]:
        senders.append(sender)
        claimed: AbstractContextManager[Claim] = whole(sender)
        return claimed

    monkeypatch.setattr(budget, "claim", claim)
    commit(hub, repo.id, file("a", b"a"))
    assert Cas(hub, stranger, repo.id).shard(shard()).status_code == 200
    action = offered(hub, repo.id, b"content")
    etags = [
        stranger.put(action["header"][n], content=each).headers["ETag"] for n, each in (("1", b"cont"), ("2", b"ent"))
    ]
    parts = [{"partNumber": number, "etag": etag} for number, etag in enumerate(etags, 1)]
    assert stranger.post(action["href"], json={"oid": sha256(b"content"), "parts": parts}).status_code == 200
    assert senders == [digest_of(server.root_token)] * 4


def begin(live: LiveServer, held: socket.socket, path: str, *lines: str) -> None:
    """All of an upload but its end, as far as it has reached the store."""
    head = "\r\n".join([f"PUT {path} HTTP/1.1", "Host: x", f"Content-Length: {len(CONTENT)}", *lines, "", ""])
    held.sendall(head.encode() + CONTENT[:1_500_000])
    eventually(lambda: bool(live.incoming()))


def test_uploads_of_one_token_are_one_set(live: LiveServer) -> None:
    headers = {"Authorization": f"Bearer {live.root_token}"}
    with (
        httpx2.Client(base_url=live.url, headers=headers, timeout=30) as hub,
        httpx2.Client(base_url=live.url, timeout=30) as stranger,
    ):
        assert hub.post("/api/repos/create", json={"name": "m"}).status_code == 200
        commit(hub, REPO, file("a", b"a"))
        found = hub.get("/api/v4/projects/root%2Fm/ml/mlflow/api/2.0/mlflow/registered-models/alias?name=m&alias=1.0.0")
        version, files = found.json()["model_version"]["version"], "/api/v4/projects/root%2Fm/packages/ml_models"
        path, cas = f"{files}/{version}/files/b", Cas(hub, stranger, REPO)
        url, small = offered(hub, REPO, CONTENT)["href"], offered(hub, REPO, b"small")["href"]
        with live.connect() as held:
            begin(live, held, path, f"Authorization: Bearer {live.root_token}")
            assert refused(stranger.put(small, content=b"small"))[:2] == LIMIT
            assert refused(cas.xorb(b"\1" * 32, chunk(b"x")))[:2] == LIMIT
            assert refused(cas.shard(shard()))[:2] == LIMIT
            assert refused(post(hub, REPO, [header(), file("c", b"c")]))[:2] == LIMIT
            held.sendall(CONTENT[1_500_000:])
            assert read_answer(held).status == 201
        with live.connect() as held:
            target = urlsplit(url)
            begin(live, held, f"{target.path}?{target.query}")
            assert hub.put(path, content=b"b").status_code == 429
            assert refused(cas.xorb(b"\1" * 32, chunk(b"x")))[:2] == LIMIT
            held.sendall(CONTENT[1_500_000:])
            assert read_answer(held).status == 200
        assert hub.put(path, content=b"b").status_code == 201
        assert stranger.put(small, content=b"small").status_code == 200
