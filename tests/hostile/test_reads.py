"""Searches that would never end: they do, by their deadline and with their client, and nobody else waits for them."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from modelyard.registry.repository import Registry
from modelyard.services.traffic import searching
from tests.databases import ON_POSTGRESQL, database_url
from tests.live import LiveServer, running
from tests.raw import read_answer
from tests.waiting import eventually

ENDLESS = text(
    "SELECT pg_sleep(3600)"
    if ON_POSTGRESQL
    else "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c"
)
MLFLOW = "ml/mlflow/api/2.0/mlflow"
THREADS = 4  # for searches, in one process
BIG = secrets.token_bytes(200_000)  # more than is kept in memory


class Endless:
    """Searches that only end when they are told to."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.count = 0

    def search(self, registry: Registry, *_arguments: object, **_options: object) -> Any:
        self.count += 1
        self.begun.release()
        registry.session.execute(ENDLESS).all()
        raise AssertionError("it came to an end by itself")

    def wait(self, count: int = 1) -> None:
        """Until so many more have begun."""
        for _ in range(count):
            assert self.begun.acquire(timeout=20)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard")) as live:
        yield live


@pytest.fixture(autouse=True)
def _all_end(yard: LiveServer) -> Iterator[None]:
    yield
    eventually(lambda: not len(yard.app.state.searches))


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Endless:
    """Makes two searches endless, one of each API; others are as they are."""
    made = Endless()
    monkeypatch.setattr("modelyard.services.tracking.experiments.search_experiments", made.search)
    monkeypatch.setattr("modelyard.services.people.projects.page", made.search)
    return made


@pytest.fixture
def short(yard: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yard.app.state.database, "read_seconds", 0.3)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "PATIENCE_SECONDS", 0.2)


@pytest.fixture(scope="module")
def project(yard: LiveServer) -> int:
    with yard.client(yard.root_token) as root:
        return int(root.post("/projects", json={"name": "p", "visibility": "public"}).json()["id"])


@pytest.fixture
def new_token(yard: LiveServer) -> Callable[[], str]:
    def new() -> str:
        with yard.client(yard.root_token) as root:
            body = {"name": "t", "scopes": ["api"]}
            return str(root.post("/users/1/personal_access_tokens", json=body).json()["token"])

    return new


def asking(yard: LiveServer, path: str, token: str | None) -> bytes:
    """A GET below the API's base."""
    credential = f"PRIVATE-TOKEN: {token}\r\n" if token else ""
    return f"GET /api/v4{path} HTTP/1.1\r\nHost: h:{yard.port}\r\n{credential}\r\n".encode()


@contextmanager
def searching_for(yard: LiveServer, endless: Endless, *tokens: str | None, path: str = "/projects") -> Iterator[Any]:
    """The connections of searches that go on until the block ends, one for each token."""
    with ExitStack() as stack:
        connections = []
        for token in tokens:
            connections.append(stack.enter_context(yard.connect()))
            connections[-1].sendall(asking(yard, path, token))
        endless.wait(len(tokens))
        yield connections


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("face", ["gitlab", "mlflow", "stranger"])
def test_a_search_ends_by_its_deadline_and_says_so(yard: LiveServer, endless: Endless, project: int, face: str) -> None:
    path = f"/projects/{project}/{MLFLOW}/experiments/search" if face == "mlflow" else "/projects"
    with yard.client(None if face == "stranger" else yard.root_token) as client, capture_logs() as logs:
        answer = client.get(path)
        eventually(lambda: not len(yard.app.state.searches))  # so its thread is free again
        assert client.get("/version" if face != "stranger" else f"/projects/{project}").status_code == 200
    assert answer.status_code == 400, answer.text
    sentence = "400 Bad request - Nothing was found within 0.3 seconds: ask for less at a time"
    code = {"error_code": "INVALID_PARAMETER_VALUE"} if face == "mlflow" else {}
    assert answer.json() == {"message": sentence} | code
    events = [log["event"] for log in logs]
    assert "read ended by its deadline" in events
    assert "database failure" not in events
    assert endless.count == 1


@pytest.mark.usefixtures("short")
def test_a_search_of_many_short_statements_ends_too(yard: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def search(registry: Registry, *_arguments: object, **_options: object) -> Any:
        while True:
            registry.session.execute(text("SELECT 1")).all()

    monkeypatch.setattr("modelyard.services.people.projects.page", search)
    with yard.client(yard.root_token) as root:
        assert root.get("/projects").status_code == 400
    eventually(lambda: not len(yard.app.state.searches))


@pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite has no deadline of its own")
def test_a_deadline_of_the_database_s_own_is_told_alike(tmp_path: Path, endless: Endless) -> None:
    url = f"{database_url(tmp_path)}&options=-c%20statement_timeout%3D200"
    with running(tmp_path, database_url=url) as live, live.client(live.root_token) as root, capture_logs() as logs:
        answer = root.get("/projects")
    assert (answer.status_code, endless.count) == (400, 1)
    assert "database failure" not in [log["event"] for log in logs]


@pytest.mark.parametrize("token", [True, False])
def test_a_search_ends_with_its_client(yard: LiveServer, endless: Endless, token: bool) -> None:
    with capture_logs() as logs:
        with searching_for(yard, endless, yard.root_token if token else None):
            assert len(yard.app.state.searches) == 1
        eventually(lambda: not len(yard.app.state.searches))
        eventually(lambda: any(log["event"] == "request" for log in logs))
    assert [log["status"] for log in logs if log["event"] == "request"] == [499]
    assert not any(log["log_level"] in ("warning", "error", "critical") for log in logs)


@pytest.mark.usefixtures("short")
def test_searches_that_are_queued_on_a_connection_end_with_it(yard: LiveServer, endless: Endless) -> None:
    # Reading is paused while more requests wait, so that nobody sees the client go before the first one's deadline.
    with yard.connect() as connection:
        connection.sendall(asking(yard, "/projects", yard.root_token) * 5)
        endless.wait()
    eventually(lambda: not len(yard.app.state.searches))
    assert endless.count < 3


def test_a_search_with_a_body_ends_with_its_client(yard: LiveServer, endless: Endless, project: int) -> None:
    body = json.dumps({"max_results": 5}).encode()
    head = f"POST /api/v4/projects/{project}/{MLFLOW}/experiments/search HTTP/1.1\r\nHost: h\r\n"
    head += f"PRIVATE-TOKEN: {yard.root_token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with yard.connect() as connection:
        connection.sendall(head.encode() + body)
        endless.wait()
    eventually(lambda: not len(yard.app.state.searches))


def test_others_downloads_and_short_reads_wait_for_no_search(
    yard: LiveServer, endless: Endless, project: int, new_token: Callable[[], str]
) -> None:
    with yard.client(yard.root_token) as root:
        run = root.post(f"/projects/{project}/{MLFLOW}/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]
        iid = run["artifact_uri"].rpartition(":")[2]
        files = f"/projects/{project}/packages/ml_models/candidate:{iid}/files"
        sizes = {"small": BIG[:100], "big": BIG}
        for name, content in sizes.items():
            assert root.put(f"{files}/{name}", content=content).status_code == 201
        tokens = [new_token() for _ in range(THREADS)]
        with searching_for(yard, endless, *tokens):
            waiting = [yard.connect() for _ in tokens]  # and as many more that no thread is left for
            for token, connection in zip(tokens, waiting, strict=True):
                connection.sendall(asking(yard, "/projects", token))
            for name, content in sizes.items():
                assert httpx2.get(f"{yard.api}{files}/{name}").content == content  # a stranger's, and nobody's before
                assert root.get(f"{files}/{name}").content == content
            for path in (
                "/user",
                f"/projects/{project}",
                f"/projects/{project}/{MLFLOW}/runs/get?run_id={run['run_id']}",
            ):
                assert root.get(path).status_code == 200
            assert root.put(f"{files}/again", content=b"again").status_code == 201
            assert endless.count == THREADS
            for connection in waiting:
                connection.close()
    eventually(lambda: not len(yard.app.state.searches))
    assert endless.count == THREADS  # what had not begun when its client went never did


@pytest.mark.usefixtures("short")
def test_a_search_that_no_thread_is_free_for_in_time_is_to_be_tried_again(
    yard: LiveServer, endless: Endless, new_token: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yard.app.state.database, "read_seconds", 0)
    with searching_for(yard, endless, *(new_token() for _ in range(THREADS))):
        monkeypatch.setattr(yard.app.state.database, "read_seconds", 0.3)
        with yard.client(yard.root_token) as root:
            answer = root.get("/projects")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert endless.count == THREADS


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("stranger", [False, True])
def test_a_third_search_of_a_client_is_refused_and_those_of_others_are_not(
    yard: LiveServer, endless: Endless, project: int, stranger: bool
) -> None:
    token = None if stranger else yard.root_token
    with searching_for(yard, endless, token, token), yard.client(token) as client:
        paths = ["/projects?search=x", f"/projects/{project}/packages"]
        paths += (
            [] if stranger else ["/users", f"/projects/{project}/{MLFLOW}/metrics/get-history?run_id=r&metric_key=m"]
        )
        for path in paths:
            answer = client.get(path)
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5"), path
            sentence = "429 Too Many Requests - 2 searches of this client are running"
            code = {"error_code": "REQUEST_LIMIT_EXCEEDED"} if "mlflow" in path else {}
            assert answer.json() == {"message": sentence} | code
        assert client.get(f"/projects/{project}").status_code == 200
        with yard.client(yard.root_token if stranger else None) as other:
            assert other.get(f"/projects/{project}/packages").status_code == 200
        assert len(yard.app.state.searches) == 1


def test_a_search_waits_for_its_turn_and_gets_it(yard: LiveServer, endless: Endless, project: int) -> None:
    token = yard.root_token
    with yard.connect() as third:
        with searching_for(yard, endless, token, token):
            third.sendall(asking(yard, f"/projects/{project}/packages", token))
            eventually(lambda: yard.app.state.searches.waiting == 1)
        assert read_answer(third).status == 200


def test_who_goes_while_waiting_for_a_turn_gets_none(yard: LiveServer, endless: Endless) -> None:
    token = yard.root_token
    with searching_for(yard, endless, token, token):
        with yard.connect() as third:
            third.sendall(asking(yard, "/projects", token))
            eventually(lambda: yard.app.state.searches.waiting == 1)
        eventually(lambda: yard.app.state.searches.waiting == 0)
    eventually(lambda: not len(yard.app.state.searches))
    assert endless.count == 2


SEARCHES = {
    "runs/search": ("tags.k", {"experiment_ids": ["0"]}),
    "experiments/search": ("name", {}),
    "registered-models/search": ("name", {}),
    "model-versions/search": ("name", {}),
    "logged-models/search": ("name", {"experiment_ids": ["0"]}),
}


@pytest.mark.parametrize("path", SEARCHES)
@pytest.mark.parametrize("operator", ["LIKE", "ILIKE", "like"])
def test_patterns_are_bounded_and_values_are_not(yard: LiveServer, project: int, path: str, operator: str) -> None:
    key, body = SEARCHES[path]
    with yard.client(yard.root_token) as root:

        def ask(condition: str) -> httpx2.Response:
            return root.post(f"/projects/{project}/{MLFLOW}/{path}", json=body | {"filter": f"{key} {condition}"})

        for fits in ("a" * 1024, "é" * 512, "😀" * 255, "?" * 102):
            assert ask(f"{operator} '{fits}'").status_code == 200
        for too_long in ("a" * 1025, "é" * 513, "😀" * 257, "?" * 103, "*" * 103, "[" * 103, "%a" * 513, "_" * 1025):
            answer = ask(f"{operator} '{too_long}'")
            assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
            assert "A pattern of LIKE or ILIKE can have at most 1024 bytes" in answer.json()["message"]
        if path != "model-versions/search":
            assert ask(f"= '{'a' * 5_000}'").status_code == 200
