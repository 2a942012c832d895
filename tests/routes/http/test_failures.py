"""Faults beneath a request: each has its status, its body in GitLab's shape, and a log line that says what to do."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import httpx2
import psycopg
import pytest
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError, ProgrammingError, TimeoutError
from starlette.requests import Request

from modelyard.blobs.store import BlobMissing, StoreUnavailable
from modelyard.routes.http import failures
from tests.disks import sqlite_error
from tests.live import LiveServer, running


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(
        tmp_path_factory.mktemp("yard"), external_url="https://models.example.com", mlflow_artifact_uri="gitlab"
    ) as live:
        yield live


@pytest.fixture
def root(yard: LiveServer) -> Iterator[httpx2.Client]:
    with yard.client(yard.root_token) as client:
        yield client


@pytest.fixture
def project(root: httpx2.Client, request: pytest.FixtureRequest) -> int:
    return int(root.post("/projects", json={"name": f"p-{abs(hash(request.node.name))}"}).json()["id"])


@pytest.fixture
def file(root: httpx2.Client, project: int) -> str:
    root.post(f"/projects/{project}/ml/mlflow/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
    url = f"/projects/{project}/packages/ml_models/candidate:1/files/f"
    assert root.put(url, content=b"content").status_code == 201
    return url


def raising(error: Exception) -> object:
    def fail(*_arguments: object, **_options: object) -> NoReturn:
        raise error

    return fail


def failed(error: Exception) -> OperationalError:
    """The failure of a statement, whose own words do not say what went wrong."""
    return OperationalError("INSERT INTO t (disk is full)", {}, error)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (failed(sqlite3.OperationalError("database is locked")), 503, "503 Service Unavailable"),
        (failed(sqlite3.OperationalError("disk I/O error")), 503, "503 Service Unavailable"),
        (failed(sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full")), 507, "507 Insufficient Storage"),
        (failed(psycopg.errors.DiskFull()), 507, "507 Insufficient Storage"),
        (failed(psycopg.errors.QueryCanceled()), 503, "503 Service Unavailable"),
        (TimeoutError("every connection is taken"), 503, "503 Service Unavailable"),
    ],
    ids=["locked", "io-error", "full", "postgresql-full", "too-slow", "no-connection"],
)
def test_a_database_that_fails(
    yard: LiveServer,
    root: httpx2.Client,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    message: str,
) -> None:
    monkeypatch.setattr(yard.app.state.database, "writing", raising(error))
    answer = root.post("/projects", json={"name": "x"})
    assert (answer.status_code, answer.json()) == (status, {"message": message})
    assert ("retry-after" in answer.headers) == (status == 503)


def test_a_store_that_cannot_be_read_is_503(
    yard: LiveServer, root: httpx2.Client, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yard.app.state.store, "open", raising(StoreUnavailable("input/output error")))
    answer = root.get(file)
    assert (answer.status_code, answer.json()) == (503, {"message": "503 Service Unavailable"})


def test_a_store_that_cannot_be_written_is_503_and_records_nothing(
    yard: LiveServer, root: httpx2.Client, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yard.app.state.store, "begin", raising(StoreUnavailable("read-only file system")))
    assert root.put(file, content=b"other").status_code == 503
    assert root.get(file).content == b"content"


def test_a_record_that_fails_leaves_no_file(
    yard: LiveServer, root: httpx2.Client, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OperationalError("INSERT", {}, sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full"))
    monkeypatch.setattr("modelyard.registry.files.packages.PackageRepository.add_file", raising(full))
    assert root.put(file, content=b"other").status_code == 507
    assert root.get(file).content == b"content"
    assert yard.unfinished() == []


def test_the_unexpected_is_500_with_a_request_id(
    yard: LiveServer, root: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yard.app.state.database, "_reading", raising(RuntimeError("a bug")))
    answer = root.get("/user")
    assert (answer.status_code, answer.json()) == (500, {"message": "500 Internal Server Error"})
    assert answer.headers["x-request-id"]


def test_a_statement_that_is_wrong_is_a_bug_and_no_outage(
    yard: LiveServer, root: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = ProgrammingError("SELECT x", {}, sqlite3.ProgrammingError("no such column: x"))
    monkeypatch.setattr(yard.app.state.database, "writing", raising(wrong))
    answer = root.post("/projects", json={"name": "x"})
    assert (answer.status_code, answer.json()) == (500, {"message": "500 Internal Server Error"})


@pytest.mark.usefixtures("readiness_at_once")
def test_a_read_only_folder_turns_readiness_red(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        (live.settings.blob_root / "incoming").rename(live.settings.blob_root / "elsewhere")
        live.settings.blob_root.rename(tmp_path / "gone")
        assert httpx2.get(f"{live.url}/-/readiness").status_code == 503
        assert httpx2.get(f"{live.url}/-/liveness").json() == {"status": "ok"}
        assert httpx2.get(f"{live.url}/-/health").text == "modelyard OK"
        (tmp_path / "gone").rename(live.settings.blob_root)


def test_gitlabs_form_of_the_artifact_uri_and_the_external_url(root: httpx2.Client, project: int) -> None:
    answer = root.post(f"/projects/{project}/ml/mlflow/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
    uri = answer.json()["run"]["info"]["artifact_uri"]
    assert uri == f"https://models.example.com/api/v4/projects/{project}/packages/ml_models/candidate:1/files/"
    listed = root.get("/projects", params={"per_page": 1})
    assert listed.headers["link"].startswith("<https://models.example.com/api/v4/projects?")


def test_the_schema_documents_every_route(yard: LiveServer) -> None:
    assert httpx2.get(f"{yard.api}/nowhere").status_code == 404  # after which FastAPI knows all routes
    schema = httpx2.get(f"{yard.url}/openapi.json").json()
    assert {route.path_format for route in yard.app.all_routes() if route.include_in_schema} == set(schema["paths"])
    for operations in schema["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["description"]
    assert httpx2.get(f"{yard.url}/docs").status_code == 200


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (BlobMissing("0" * 64), 404, b'{"message":"404 Not Found"}'),
        (RequestValidationError([{"loc": ("query", "page")}]), 400, b'{"error":"page is invalid"}'),
    ],
    ids=["blob", "parameter"],
)
def test_what_an_endpoint_leaves_to_all_has_the_shape_of_its_api(error: Exception, status: int, body: bytes) -> None:
    request = Request({"type": "http", "method": "GET", "path": "/api/v4/projects", "headers": [], "query_string": b""})
    answer = asyncio.run(failures.respond(request, error))
    assert (answer.status_code, answer.body) == (status, body)
