"""Requests that are one too many, over a real socket."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import event

from modelyard.access.tokens import new_token
from modelyard.routes.front import throttle
from tests.conftest import MLFLOW
from tests.live import LiveServer, running
from tests.raw import exchange, put_head, read_answer
from tests.test_permissions import _plausible_body
from tests.waiting import within_one_minute

FROM_ELSEWHERE = {"X-Forwarded-For": "203.0.113.7"}
LONGEST_TEST = 15.0  # seconds, on a busy machine


@contextmanager
def limited_logins(folder: Path, **settings: object) -> Iterator[LiveServer]:
    with running(folder, None, rate_limit_failed_logins=5, **settings) as live:
        yield live


@pytest.fixture(autouse=True)
def _within_one_minute() -> None:
    within_one_minute(LONGEST_TEST)


def assert_throttled(answer: httpx2.Response, name: str, limit: int) -> None:
    """GitLab's answer of its request throttle, headers and all."""
    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (
        429,
        "Retry later\n",
        "text/plain; charset=utf-8",
    )
    headers = {header: answer.headers[f"RateLimit-{header}"] for header in ("Limit", "Name", "Observed", "Remaining")}
    assert headers == {"Limit": str(limit), "Name": name, "Observed": str(limit), "Remaining": "0"}
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert 0 <= int(answer.headers["RateLimit-Reset"]) - time.time() <= 61
    assert len(answer.headers["X-Request-Id"]) == 32


def test_strangers_are_limited_by_address_and_probes_are_not(tmp_path: Path) -> None:
    with running(tmp_path, rate_limit_anonymous=5) as live, live.client() as anonymous:
        assert [anonymous.get("/projects").status_code for _ in range(5)] == [200] * 5
        assert_throttled(anonymous.get("/projects"), "throttle_unauthenticated_api", 5)
        assert anonymous.get("/projects", headers=FROM_ELSEWHERE).status_code == 200
        assert httpx2.get(f"{live.url}/-/health").status_code == 200
        with live.client(live.root_token) as root:
            assert root.get("/user").status_code == 200


def test_a_client_of_tus_that_asks_where_it_is_is_told_to_ask_again_as_it_begins_anew_at_429(tmp_path: Path) -> None:
    upload, tus = f"/uploads/{'0' * 32}", {"Tus-Resumable": "1.0.0"}
    with running(tmp_path, rate_limit_anonymous=1) as live, live.client() as anonymous:
        assert anonymous.get("/projects").status_code == 200
        asked = anonymous.head(upload, headers=tus)
        assert (asked.status_code, asked.headers["Tus-Resumable"]) == (423, "1.0.0")
        assert 1 <= int(asked.headers["Retry-After"]) <= 60
        assert anonymous.head(upload).status_code == 429
        assert anonymous.patch(upload, headers=tus).status_code == 429
        assert anonymous.head("/projects", headers=tus).status_code == 429


def test_a_token_is_limited_in_whatever_header_it_comes(tmp_path: Path) -> None:
    with running(tmp_path, rate_limit_token=4) as live, live.client() as client:
        ways: list[dict[str, Any]] = [
            {"headers": {"Authorization": f"Bearer {live.root_token}"}},
            {"headers": {"PRIVATE-TOKEN": live.root_token}},
            {"auth": ("someone", live.root_token)},
            {"auth": ("someone-else", live.root_token)},
        ]
        assert [client.get("/user", **way).status_code for way in ways] == [200] * 4
        assert_throttled(client.get("/user", **ways[0]), "throttle_authenticated_api", 4)
        unreadable = client.get("/user", headers={"Authorization": "Basic !"})
        assert unreadable.status_code == 401
        assert client.get("/projects").status_code == 200


@pytest.fixture(autouse=True)
def _quick_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "SLOWED_SECONDS", 0.01)


def wrong_token() -> str:
    """A token with the right tail, which nobody has."""
    return new_token()


def guess(client: httpx2.Client, number: int = 5) -> None:
    """Use up what an address may try."""
    for _ in range(number):
        assert client.get("/user", headers={"PRIVATE-TOKEN": wrong_token()}).status_code == 401
    assert_throttled(client.get("/user", headers={"PRIVATE-TOKEN": wrong_token()}), "throttle_failed_logins", 5)


@pytest.mark.parametrize("wrong", [wrong_token, lambda: f"myd_{secrets.token_hex()}", secrets.token_hex])
def test_guesses_are_refused_and_nobody_who_is_right(tmp_path: Path, wrong: Callable[[], str]) -> None:
    """Not the tokens that no process has seen yet, nor those that were made since, nor any in another header."""
    root_token = secrets.token_urlsafe()
    with running(tmp_path, root_token=root_token) as prepared, prepared.client(root_token) as root:
        project = root.post("/projects", json={"name": "p"}).json()["id"]
        token = root.post("/users/1/personal_access_tokens", json={"name": "x", "scopes": ["api"]}).json()["token"]
    with limited_logins(tmp_path, root_token=root_token) as live, live.client() as client:
        statuses = [client.get("/projects", headers={"PRIVATE-TOKEN": wrong()}).status_code for _ in range(5)]
        assert statuses == [401] * 5
        for _ in range(2):
            assert_throttled(client.get("/user", headers={"PRIVATE-TOKEN": wrong()}), "throttle_failed_logins", 5)
        ways: list[dict[str, Any]] = [
            {"headers": {"PRIVATE-TOKEN": token}},
            {"headers": {"Authorization": f"Bearer {token}"}},
            {"auth": ("someone", token)},
            {"headers": {"PRIVATE-TOKEN": root_token}},
        ]
        assert [client.get("/user", **way).status_code for way in ways] == [200] * 4
        job = client.post(f"/projects/{project}/job_tokens", **ways[0]).json()["token"]
        for header in ("JOB-TOKEN", "PRIVATE-TOKEN"):
            assert client.get(f"/projects/{project}", headers={header: job}).status_code == 200
        assert client.get("/projects").status_code == 200
        elsewhere = client.get("/user", headers={"PRIVATE-TOKEN": wrong()} | FROM_ELSEWHERE)
        assert elsewhere.status_code == 401


def test_a_wrong_tail_is_refused_without_a_look(tmp_path: Path) -> None:
    with running(tmp_path) as live, live.client() as client:
        statements: list[str] = []
        event.listen(
            live.app.state.database.engine, "before_cursor_execute", lambda *context: statements.append(context[2])
        )
        token, file = new_token(), "/projects/1/packages/ml_models/1/files/f"
        wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
        mlflow = f"/projects/1/{MLFLOW}/experiments/get?experiment_id=0"

        def looks(presented: str) -> list[tuple[int, bool]]:
            found = []
            for method, path in (
                ("GET", "/user"),
                ("GET", file),
                ("PUT", file),
                ("GET", mlflow),
                ("POST", "/projects"),
            ):
                statements.clear()
                answer = client.request(method, path, headers={"Authorization": f"Bearer {presented}"})
                found.append((answer.status_code, any("tokens" in each for each in statements)))
            return found

        assert looks(wrong) == [(401, False)] * 5
        assert looks(token) == [(401, True)] * 5


def test_a_refused_upload_is_not_stored_and_its_connection_goes_on_in_step(tmp_path: Path) -> None:
    with limited_logins(tmp_path) as live, live.client() as client, live.client(live.root_token) as root:
        guess(client)
        file = "/projects/1/packages/ml_models/1/files/f"
        refused = client.put(file, content=bytes(100_000), headers={"PRIVATE-TOKEN": wrong_token()})
        assert_throttled(refused, "throttle_failed_logins", 5)
        mlflow = client.post(f"/projects/1/{MLFLOW}/runs/create", json={}, headers={"JOB-TOKEN": wrong_token()})
        assert_throttled(mlflow, "throttle_failed_logins", 5)
        assert client.head("/user", headers={"PRIVATE-TOKEN": wrong_token()}).status_code == 429
        assert client.get("/projects").json() == root.get("/projects").json() == []
        head = put_head(live, file, "Content-Length: 9", "Expect: 100-continue")
        answer = exchange(live, head.replace(live.root_token.encode(), wrong_token().encode()))
        assert (answer.status, answer.headers["Connection"]) == (429, "close")


def test_one_stale_token_is_refused_by_itself(tmp_path: Path) -> None:
    with limited_logins(tmp_path) as live, live.client(live.root_token) as root, live.client() as client:
        made = root.post("/users/1/personal_access_tokens", json={"name": "x", "scopes": ["api"]}).json()
        stale = {"PRIVATE-TOKEN": made["token"]}
        assert client.get("/user", headers=stale).status_code == 200
        root.delete(f"/personal_access_tokens/{made['id']}")
        assert [client.get("/user", headers=stale).status_code for _ in range(5)] == [401] * 5
        assert_throttled(client.get("/user", headers=stale), "throttle_failed_logins", 5)
        guess(client, 4)


def test_a_token_that_is_wrong_for_metrics_alone_stays_valid_for_the_api(tmp_path: Path) -> None:
    metrics_token = secrets.token_urlsafe()
    with limited_logins(tmp_path, metrics_token=metrics_token) as live, live.client(live.root_token) as root:
        metrics = f"{live.url}/metrics"
        assert [root.get(metrics).status_code for _ in range(6)] == [401] * 5 + [429]
        assert root.get("/user").status_code == 200
        with live.client() as client:
            guess(client, 4)
            assert client.get(metrics, headers={"Authorization": f"Bearer {metrics_token}"}).status_code == 200


def test_a_probe_makes_no_guess_a_known_token(tmp_path: Path) -> None:
    with limited_logins(tmp_path) as live, live.client() as client:
        guess(client)
        guess_headers = {"PRIVATE-TOKEN": wrong_token()}
        for path in ("/-/health", "/openapi.json"):
            httpx2.get(f"{live.url}{path}", headers=guess_headers)
        assert_throttled(client.get("/user", headers=guess_headers), "throttle_failed_logins", 5)


def test_every_route_of_the_api_holds_that_a_credential_be_valid(server: LiveServer) -> None:
    """What the gate relies on, which takes a success for a sign that the credential is valid."""
    with server.client("myd_unknown") as client:
        for route in server.app.all_routes():
            if not route.path.startswith("/api/v4/"):
                continue
            path = re.sub(r"\{\w+\}", "1", route.path.replace(":path}", "}/1")).removeprefix("/api/v4")
            for method in route.methods:
                body = _plausible_body() if method in {"POST", "PUT", "PATCH"} else None
                assert client.request(method, path, json=body).status_code >= 400, (method, path)


def test_forwarded_addresses_are_believed_from_trusted_proxies_alone(tmp_path: Path) -> None:
    with running(tmp_path, rate_limit_anonymous=1, trusted_proxies="10.0.0.0/8") as live, live.client() as client:
        assert client.get("/projects").status_code == 200
        assert client.get("/projects", headers=FROM_ELSEWHERE).status_code == 429


def test_a_throttled_upload_is_told_before_its_body(tmp_path: Path) -> None:
    with running(tmp_path, rate_limit_token=1) as live:
        head = put_head(live, "/projects/1/packages/ml_models/1/files/f", "Content-Length: 9", "Expect: 100-continue")
        exchange(live, head.replace(b"PUT", b"GET", 1).replace(b"Content-Length: 9\r\nExpect: 100-continue\r\n", b""))
        answer = exchange(live, head)
        assert (answer.status, answer.headers["Connection"]) == (429, "close")


def test_uploads_at_a_time_are_limited_by_token(tmp_path: Path) -> None:
    with (
        running(tmp_path, max_uploads_per_token=1) as live,
        live.client(live.root_token) as root,
        live.connect() as held,
    ):
        project = root.post("/projects", json={"name": "p"}).json()["id"]
        mlflow = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
        info = root.post(f"{mlflow}/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]
        files = f"/projects/{project}/packages/ml_models/{info['artifact_uri'].rpartition('/')[2]}/files"
        held.sendall(put_head(live, f"{files}/a", "Content-Length: 2000000") + bytes(1_500_000))
        for _ in range(500):
            if live.incoming():
                break
            threading.Event().wait(0.02)
        refused = root.put(f"{files}/b", content=b"x")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
        assert refused.json() == {"message": "429 Too Many Requests - 1 uploads of this token are running"}
        artifact = f"/projects/{project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/{files.split('/')[-2]}/b"
        assert root.put(artifact, content=b"x").json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"
        held.sendall(bytes(500_000))
        assert read_answer(held).status == 201
        assert root.put(f"{files}/b", content=b"x").status_code == 201
