"""Who is refused again and again waits for his refusals while others ask, over a real socket."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from modelyard.services.traffic import shares
from tests.live import LiveServer, running
from tests.raw import read_answer
from tests.waiting import eventually

WAIT = 3600.0  # seconds of an answer that is held back here: longer than any test

REFUSALS = [
    ("GET /api/v4/nothing", None, 404),
    ("GET /api/v4/user", None, 401),
    ("GET /api/v4/projects?per_page=x", "root", 400),
    ("GET /api/v4/projects/404/packages/ml_models/1/files/f", "root", 404),
    ("DELETE /api/v4/version", "root", 405),
    ("GET /openapi.json", None, 200),
    ("GET /docs", None, 200),
    ("GET /metrics", None, 200),
]


@pytest.fixture(autouse=True)
def _nothing_for_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "BURST_SECONDS", 0.0)
    monkeypatch.setattr(shares, "MAX_WAIT_SECONDS", WAIT)
    monkeypatch.setattr(shares, "REFUSAL_SECONDS", 60.0)


@contextmanager
def another_client_asking(live: LiveServer) -> Iterator[None]:
    """Somebody else is in the midst of a request for as long as the block lasts."""
    with live.client(live.root_token) as root, live.connect() as connection:
        wanted = {"name": "t", "scopes": ["api"]}
        token = root.post("/users/1/personal_access_tokens", json=wanted).json()["token"]
        lines = ["POST /api/v4/projects HTTP/1.1", "Host: x", f"PRIVATE-TOKEN: {token}", "Content-Length: 9"]
        connection.sendall("\r\n".join([*lines, "Expect: 100-continue", "", ""]).encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        yield


def ask(live: LiveServer, request: str, token: str | None) -> socket.socket:
    """A connection on which a request is sent, and nothing read yet."""
    connection = live.connect()
    credential = f"PRIVATE-TOKEN: {live.root_token}\r\n" if token else ""
    connection.sendall(f"{request} HTTP/1.1\r\nHost: x\r\n{credential}Connection: close\r\n\r\n".encode())
    return connection


def held_back(folder: Path) -> AbstractContextManager[LiveServer]:
    """A server that does not wait for what it holds back when it stops."""
    return running(folder, shutdown_timeout=1)


def test_refusals_and_documents_wait_and_all_else_is_answered_meanwhile(tmp_path: Path) -> None:
    with held_back(tmp_path) as live, live.client(live.root_token) as root, ExitStack() as stack:
        stack.enter_context(another_client_asking(live))
        held = [stack.enter_context(ask(live, request, token)) for request, token, _ in REFUSALS]
        for path in ("/user", "/version", "/users/1"):
            assert root.get(path).status_code == 200
        assert not select.select(held, [], [], 0)[0]


def test_a_probe_is_held_back_for_less_than_anybody_takes_for_a_failure(tmp_path: Path) -> None:
    with (
        held_back(tmp_path) as live,
        another_client_asking(live),
        ask(live, "GET /api/v4/nothing", None) as held,
        ask(live, "GET /-/liveness", None) as probe,
    ):
        assert read_answer(probe).status == 200
        assert not select.select([held], [], [], 0)[0]


def test_what_was_held_back_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MAX_WAIT_SECONDS", 0.05)
    with running(tmp_path) as live, another_client_asking(live):
        for request, token, status in REFUSALS:
            with ask(live, request, token) as connection:
                assert read_answer(connection).status == status


@pytest.mark.parametrize("alone", [True, False])
def test_whoever_is_alone_or_has_no_share_to_keep_is_answered_at_once(tmp_path: Path, alone: bool) -> None:
    with running(tmp_path, fair_share=25 if alone else 0) as live, ExitStack() as stack:
        if not alone:
            stack.enter_context(another_client_asking(live))
        for request, token, status in REFUSALS:
            with ask(live, request, token) as connection:
                assert read_answer(connection).status == status


def test_a_search_beyond_its_client_s_share_waits_and_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "MAX_WAIT_SECONDS", 0.05)
    waits: list[float] = []

    class Watched(shares.Shares):
        def wait(self, client: str) -> float:
            waits.append(super().wait(client))
            return waits[-1]

    monkeypatch.setattr("modelyard.app.Shares", Watched)
    with running(tmp_path, fair_share=1) as live, live.client(live.root_token) as root:
        assert root.get("/projects").status_code == 200
        assert waits[-1] == 0.0
        with another_client_asking(live):
            assert root.get("/projects").status_code == 200
        assert waits[-1] > 0.0
        eventually(lambda: not len(live.app.state.searches))
