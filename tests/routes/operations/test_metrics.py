"""What Prometheus is told, and whom it is told to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError
from starlette.requests import Request

from modelyard.registry.engine import Database
from modelyard.registry.tables import UpkeepRun
from modelyard.routes.operations import metrics
from tests.live import LiveServer, running
from tests.waiting import eventually

FILE = "/api/v4/projects/{project}/packages/ml_models/{model_version_id}/files/{name:path}"
TOKEN = "a-token-for-the-metrics-alone"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard")) as live:
        yield live


@pytest.fixture
def root(yard: LiveServer) -> Iterator[httpx2.Client]:
    with yard.client(yard.root_token) as client:
        yield client


@pytest.fixture(scope="module")
def files(yard: LiveServer) -> str:
    with yard.client(yard.root_token) as root:
        project = root.post("/projects", json={"name": "p"}).json()["id"]
        base = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
        root.post(f"{base}/runs/create", json={"experiment_id": "0"})
    return f"/projects/{project}/packages/ml_models/candidate:1/files"


def scrape(yard: LiveServer) -> dict[str, dict[tuple[str, ...], float]]:
    """The samples by name and by the values of their labels, in the order of the labels' names."""
    answer = httpx2.get(f"{yard.url}/metrics", timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = tuple(value for _name, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def test_requests_are_counted_by_template_with_their_bytes(yard: LiveServer, root: httpx2.Client, files: str) -> None:
    before = scrape(yard)
    root.put(f"{files}/a", content=bytes(1000))
    for _ in range(3):
        root.get(f"{files}/a")
    root.get(f"{files}/none")
    root.get("/user")
    root.post("/projects", json={"name": "p"})

    def gained(name: str, *labels: str) -> float:
        return scrape(yard)[name].get(labels, 0) - before.get(name, {}).get(labels, 0)

    eventually(lambda: gained("modelyard_http_requests_total", "POST", "/api/v4/projects", "400") == 1)
    assert gained("modelyard_http_requests_total", "PUT", FILE, "201") == 1
    assert gained("modelyard_http_requests_total", "GET", FILE, "200") == 3
    assert gained("modelyard_http_requests_total", "GET", FILE, "404") == 1
    assert gained("modelyard_http_requests_total", "GET", "/api/v4/user", "200") == 1
    assert gained("modelyard_http_received_bytes_total", "PUT", FILE) == 1000
    assert 3000 < gained("modelyard_http_sent_bytes_total", "GET", FILE) < 3500
    assert gained("modelyard_http_request_duration_seconds_count", "GET", FILE) == 4
    assert gained("modelyard_http_request_duration_seconds_sum", "GET", FILE) > 0


def test_no_series_is_named_by_what_clients_make_up(yard: LiveServer, root: httpx2.Client, files: str) -> None:
    for path in (f"{files}/made-up", "/made-up/path", "/users/made-up", "/projects/made-up%2Fp/packages/made-up"):
        assert root.get(path).is_error
    assert httpx2.request("PROPFIND", f"{yard.url}/made-up").status_code == 404
    assert httpx2.request("PROPFIND", f"{yard.api}/user").status_code == 405
    eventually(lambda: ("unknown", "unknown", "404") in scrape(yard)["modelyard_http_requests_total"])
    text = httpx2.get(f"{yard.url}/metrics").text
    assert 'route="/api/v4/users/{user_id}"' in text
    assert 'route="unknown"' in text
    assert "made-up" not in text
    assert "PROPFIND" not in text


def test_transfers_are_in_flight_until_they_end(yard: LiveServer, root: httpx2.Client, files: str) -> None:
    def in_flight(direction: str) -> float:
        return scrape(yard)["modelyard_transfers_in_flight"][direction,]

    assert (in_flight("up"), in_flight("down")) == (0, 0)
    head = f"PUT /api/v4{files}/slow HTTP/1.1\r\nHost: x\r\nPRIVATE-TOKEN: {yard.root_token}\r\n"
    with yard.connect() as upload:
        upload.sendall(f"{head}Content-Length: 10\r\n\r\n12345".encode())
        eventually(lambda: in_flight("up") == 1)
        upload.sendall(b"67890")
        assert upload.recv(100).startswith(b"HTTP/1.1 201")
    eventually(lambda: in_flight("up") == 0)
    with yard.connect() as cut:
        cut.sendall(f"{head}Content-Length: 10\r\n\r\n12345".encode())
        eventually(lambda: in_flight("up") == 1)
    eventually(lambda: in_flight("up") == 0)
    root.put(f"{files}/large", content=bytes(64 * MIB))
    with root.stream("GET", f"{files}/large") as download:
        pieces = download.iter_raw()
        next(pieces)
        assert in_flight("down") == 1
    eventually(lambda: in_flight("down") == 0)


def test_store_and_database_are_timed(yard: LiveServer, root: httpx2.Client, files: str) -> None:
    root.put(f"{files}/timed", content=b"timed")
    root.put(f"{files}/timed-large", content=bytes(MIB))
    assert root.get(f"{files}/timed-large").status_code == 200
    found = scrape(yard)
    for step in ("begin", "write", "publish", "open", "read"):
        assert found["modelyard_store_duration_seconds_count"][step,] > 0, step
        assert found["modelyard_store_duration_seconds_sum"][step,] > 0, step
    for kind in ("read", "write"):
        assert found["modelyard_database_duration_seconds_count"][kind,] > 0


def test_processes_and_the_build_are_told(yard: LiveServer) -> None:
    found = scrape(yard)
    assert found["modelyard_build_info"]
    assert found["process_resident_memory_bytes"][()] > MIB
    assert found["process_start_time_seconds"][()] <= time.time()
    assert found["process_open_fds"][()] > 3


def test_upkeep_is_told_and_its_absence_does_not_hide_the_rest(
    yard: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = {"started_at": 1_000, "finished_at": 3_500, "found": 2, "size": 7, "position": "", "completed_at": 3_500}
    with yard.app.state.database.writing() as registry:
        registry.upkeep.record(UpkeepRun(task="gc", **run))
    found = scrape(yard)
    assert found["modelyard_upkeep_last_found"] == {("gc",): 2}
    assert found["modelyard_upkeep_last_bytes"] == {("gc",): 7}
    assert found["modelyard_upkeep_last_duration_seconds"] == {("gc",): 2.5}
    assert found["modelyard_upkeep_last_finish_time_seconds"] == {("gc",): 3.5}
    assert found["modelyard_upkeep_last_completion_time_seconds"] == {("gc",): 3.5}

    async def away(_database: Database, _work: object) -> None:
        raise OperationalError("SELECT", None, Exception("away"))

    monkeypatch.setattr(Database, "read", away)
    found = scrape(yard)
    assert "modelyard_upkeep_last_found" not in found
    assert "modelyard_http_requests_total" in found


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
    ids=lambda headers: "-".join(*headers.items()),
)
def test_without_a_token_only_this_machine_is_told(yard: LiveServer, headers: dict[str, str]) -> None:
    for more in ({}, {"PRIVATE-TOKEN": yard.root_token}):
        assert httpx2.get(f"{yard.url}/metrics", headers=headers | more).status_code == 404
    assert httpx2.get(f"{yard.url}/metrics").status_code == 200


def test_behind_a_proxy_there_must_be_a_token(tmp_path: Path) -> None:
    with running(tmp_path, external_url="https://models.example.com") as live:
        assert httpx2.get(f"{live.url}/metrics").status_code == 404


def test_the_token_opens_it_from_anywhere_and_nothing_else_does(tmp_path: Path) -> None:
    with running(tmp_path, metrics_token=TOKEN, external_url="https://models.example.com") as live:

        def status(**headers: Any) -> int:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            return httpx2.get(f"{live.url}/metrics", headers=names).status_code

        assert status(Authorization=f"Bearer {TOKEN}") == 200
        assert status(Authorization=f"Bearer {TOKEN}", X_Forwarded_For="203.0.113.9") == 200
        assert status() == 401
        assert status(Authorization=f"Bearer {live.root_token}") == 401
        assert status(Authorization=f"Bearer {TOKEN}x") == 401
        assert status(Authorization="Bearer é".encode()) == 401
        assert httpx2.get(f"{live.api}/user", headers={"PRIVATE-TOKEN": TOKEN}).status_code == 401


@pytest.mark.parametrize(
    ("client", "local"), [(("127.0.0.1", 1), True), (("192.0.2.1", 1), False), (("a.socket", 0), False), (None, False)]
)
def test_only_an_address_of_this_machine_is_local(client: tuple[str, int] | None, local: bool) -> None:
    assert metrics._is_local(Request({"type": "http", "client": client, "headers": []})) is local
