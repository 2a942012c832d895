"""Bodies that are held in memory: whose are read, how long they may take, and how much all of them may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx2
import pytest

from modelyard.routes.http import bodies
from modelyard.services.traffic import body_budget
from modelyard.services.traffic.body_budget import BodyBudget
from tests.conftest import MLFLOW
from tests.live import LiveServer, running
from tests.raw import Answer, exchange, read_answer

JSON = "Content-Type: application/json"


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard")) as live:
        yield live


@pytest.fixture
def mlflow(yard: LiveServer, request: pytest.FixtureRequest) -> str:
    with yard.client(yard.root_token) as root:
        project = root.post("/projects", json={"name": f"p-{abs(hash(request.node.name))}"}).json()["id"]
    return f"/api/v4/projects/{project}/{MLFLOW}"


def ask(
    yard: LiveServer, path: str, token: str | None, *headers: str, body: bytes = b"", method: str = "POST"
) -> Answer:
    credential = [f"PRIVATE-TOKEN: {token}"] if token else []
    lines = [f"{method} {path} HTTP/1.1", "Host: x", JSON, *credential, *headers, "", ""]
    return exchange(yard, "\r\n".join(lines).encode() + body)


@pytest.mark.parametrize("token", [None, "myd_wrong"])
@pytest.mark.parametrize("headers", ["Content-Length: 100", "Content-Length: 8000000", "Transfer-Encoding: chunked"])
def test_nobody_waits_for_a_strangers_body(yard: LiveServer, mlflow: str, token: str | None, headers: str) -> None:
    for path in (f"{mlflow}/runs/log-batch", "/api/v4/users", "/api/v4/projects"):
        assert ask(yard, path, token, headers).status == 401


@pytest.mark.parametrize("token", [None, "myd_wrong"])
def test_a_stranger_learns_nothing_of_parameters(yard: LiveServer, mlflow: str, token: str | None) -> None:
    body = b'{"scopes": [0, 0]}'
    length = f"Content-Length: {len(body)}"
    assert ask(yard, "/api/v4/users/1/personal_access_tokens", token, length, body=body).status == 401
    assert ask(yard, f"{mlflow}/runs/log-metric", token, length, body=body).status == 401
    assert ask(yard, "/api/v4/users?per_page=x", token, method="GET").status == 401
    assert ask(yard, f"{mlflow}/artifacts/list", token, method="GET").status == 401


def test_a_strangers_query_is_looked_at_where_the_public_may_ask(yard: LiveServer) -> None:
    assert ask(yard, "/api/v4/projects?per_page=x", None, method="GET").status == 400
    assert ask(yard, "/api/v4/projects?per_page=x", "myd_wrong", method="GET").status == 401
    assert ask(yard, "/api/v4/projects", None, "Content-Length: 2", body=b"{}", method="GET").status == 401


def test_a_token_that_is_revoked_is_refused_before_its_parameters(yard: LiveServer) -> None:
    with yard.client(yard.root_token) as root:
        made = root.post("/users/1/personal_access_tokens", json={"name": "t", "scopes": ["api"]}).json()
        with yard.client(made["token"]) as client:
            assert client.post("/projects", json={"visibility": "x"}).status_code == 400
            root.delete(f"/personal_access_tokens/{made['id']}")
            assert client.post("/projects", json={"visibility": "x"}).status_code == 401
            assert client.post("/projects", json={"name": "x"}).status_code == 401


def test_a_request_that_needs_no_body_has_a_small_one(yard: LiveServer, mlflow: str) -> None:
    for method, path in (("GET", "/api/v4/projects"), ("DELETE", f"{mlflow}/model-versions/delete-tag")):
        assert ask(yard, path, yard.root_token, "Content-Length: 70000", method=method).status == 413


def test_a_body_that_does_not_come_is_given_up(yard: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.1)
    answer = ask(yard, "/api/v4/projects", yard.root_token, "Content-Length: 10", body=b"{")
    assert (answer.status, answer.json()) == (408, {"message": "408 Request Timeout - The request body did not come"})
    assert answer.headers["connection"] == "close"


def test_bodies_wait_for_each_other_and_are_refused_in_the_end(
    yard: LiveServer, mlflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_budget, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(yard.app.state.bodies, "budget", BodyBudget(200_000))
    head = f"POST {mlflow}/runs/log-batch HTTP/1.1\r\nHost: x\r\n{JSON}\r\nPRIVATE-TOKEN: {yard.root_token}\r\n"
    body = b'{"run_id": "r"}'.ljust(80_000)
    with yard.connect() as held:
        held.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        refused = _until(lambda: ask(yard, f"{mlflow}/runs/log-batch", yard.root_token, f"Content-Length: {len(body)}"))
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        held.sendall(body)
        assert read_answer(held).status == 404


def _until(send: Callable[[], Answer]) -> Answer:
    while (answer := send()).status != 503:
        pass
    return answer


def test_an_upload_is_no_such_body(yard: LiveServer, mlflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yard.app.state.bodies, "budget", BodyBudget(0))
    with httpx2.Client(base_url=yard.url, headers={"PRIVATE-TOKEN": yard.root_token}) as root:
        path = mlflow.replace("ml/mlflow/api/2.0/mlflow", "packages/ml_models/candidate:1/files/f")
        assert root.put(path, content=b"x").status_code == 404


def test_a_chunked_body_is_held_to_the_same(yard: LiveServer) -> None:
    with yard.client(yard.root_token) as root:
        pieces = (b" " * 10_000 for _ in range(8))
        assert root.post("/projects", content=pieces, headers={"Content-Type": "application/json"}).status_code == 413
        pieces = (piece for piece in (b'{"name"', b': "chunked"}'))
        assert root.post("/projects", content=pieces, headers={"Content-Type": "application/json"}).status_code == 201
