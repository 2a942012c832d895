"""Fixtures: one live server for all tests, with fresh users, projects and versions for each."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import coverage
import httpcore2
import httpx2
import pytest
import structlog
from httpx2._config import DEFAULT_TIMEOUT_CONFIG
from sqlalchemy import update
from xdist.workermanage import NodeManager

from modelyard.clock import DAY, now
from modelyard.process.server import GC_THRESHOLDS
from modelyard.registry.tables import Token
from modelyard.routes.operations import health
from tests import postgres
from tests.beginnings import Beginnings, serial
from tests.commands import end_preloaded
from tests.databases import ON_POSTGRESQL
from tests.live import LiveServer, running
from tests.lookups import checked_lookups
from tests.pgbouncer import PgBouncer, running_pgbouncer
from tests.s3 import S3Server, running_moto
from tests.s3rver import running_s3rver
from tests.scheduling import Scheduling
from tests.swift import require_swift, running_swift
from tests.tracing import TracesTestsAlone, trace_no_clients_and_servers_of_tests

MLFLOW = "ml/mlflow/api/2.0/mlflow"

PROCESSES = Path(__file__).with_name("processes.coveragerc")
CLIENT_SECONDS = 60
LEFT_OUT_ON_POSTGRESQL = {"sqlite": "it is about SQLite itself", "once": "it ran on SQLite, and is the same here"}
BROWSER = "chromium"  # the fixture of tests that see what a browser makes of a page, whatever database it came from


def pytest_configure(config: pytest.Config) -> None:
    """Log into a file that stays, with tracebacks as the server's, and load the certificates of authorities once.

    By itself structlog prints, and Python 3.11 crashes when pytest puts another sys.stdout in place while a server's
    thread prints; where Rich is installed it also draws each traceback with all local variables, which takes seconds,
    and colours and columns take a tenth of a millisecond a line.
    Each of httpx2's clients loads the certificates anew, which takes 30 ms, and no test uses them. One that is told no
    other gives up after 5 seconds, within which a busy machine may not answer.

    A run in the background ignores Ctrl-C, and so would each process that it starts, which tests send it to.

    xdist kills a worker that takes more than 10 seconds to end; on a busy machine one takes longer to write down what
    it has covered, all of which was lost without a word.
    """
    _measure_processes(config)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    NodeManager.EXIT_TIMEOUT = 300
    *before, _last = structlog.get_config()["processors"]
    plain = structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"], drop_missing=True)
    structlog.configure(
        [*before, structlog.processors.format_exc_info, plain],
        logger_factory=structlog.WriteLoggerFactory(sys.__stdout__),
    )
    pytest.MonkeyPatch().setattr(httpcore2, "default_ssl_context", cache(httpcore2.default_ssl_context))
    for waits_for in ("connect", "read", "write", "pool"):
        setattr(DEFAULT_TIMEOUT_CONFIG, waits_for, CLIENT_SECONDS)


def _measure_processes(config: pytest.Config) -> None:
    """Have those that are started measured, if this one is, by what is configured for them."""
    measuring = coverage.Coverage.current()
    if measuring:
        trace_no_clients_and_servers_of_tests()
        config.pluginmanager.register(TracesTestsAlone())
    if measuring and os.environ.pop("COVERAGE_PROCESS_CONFIG", None):  # which goes before a file
        os.environ["COVERAGE_PROCESS_START"] = str(PROCESSES)
        os.environ["COVERAGE_FILE"] = str(Path(str(measuring.get_option("run:data_file"))).absolute())


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling | None:
    """Start what takes long to start as seldom as can be, and trace none of this process, which runs no test itself."""
    if measuring := coverage.Coverage.current():
        measuring.stop()
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of slow tests, so that no worker waits at the end for another that has just begun one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    for item in items if ON_POSTGRESQL else ():
        if BROWSER in getattr(item, "fixturenames", ()):
            item.add_marker("once")
        for name, reason in LEFT_OUT_ON_POSTGRESQL.items():
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no cycles among what stays: in each process it took half a second."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Keep the cycle collector away from all that was imported and collected: it took a twentieth of the time.

    And let it look as seldom as a server does, of which there are some in this process: with Python's own thresholds
    that took as much again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def pytest_unconfigure() -> None:
    """End what outlives every test, before coverage is told together."""
    end_preloaded()


@pytest.fixture(scope="session", autouse=True)
def _all_that_is_remembered_is_looked_up_again() -> Iterator[None]:
    """Whatever a test writes, and however: what is remembered of a file is what would be found."""
    with checked_lookups():
        yield


@dataclass(frozen=True)
class Account:
    """A user with a token."""

    id: int
    username: str
    token: str
    client: httpx2.Client


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("server"), max_file_size=64 * 1024 * 1024) as live:
        yield live


@pytest.fixture(scope="session")
def clients(server: LiveServer) -> Iterator[Callable[[str | None], httpx2.Client]]:
    opened: dict[str | None, httpx2.Client] = {}

    def client(token: str | None) -> httpx2.Client:
        if token not in opened:
            opened[token] = server.client(token)
        return opened[token]

    yield client
    for each in opened.values():
        each.close()


@pytest.fixture
def client_for(clients: Callable[[str | None], httpx2.Client]) -> Callable[[str | None], httpx2.Client]:
    return clients


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    """A simulated S3: quick, and strict about what it knows."""
    with running_moto() as simulated:
        yield simulated


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server."""
    require_swift()
    with running_swift(tmp_path_factory.mktemp("swift")) as real:
        yield real


@pytest.fixture(scope="session")
def s3rver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server that leaves much out."""
    with running_s3rver(tmp_path_factory.mktemp("s3rver")) as real:
        yield real


@pytest.fixture(scope="session")
def pooler() -> Iterator[PgBouncer]:
    """PgBouncer in session mode before the server that all tests share."""
    with running_pgbouncer(postgres.cluster(), "session") as found:
        yield found


@pytest.fixture
def root(server: LiveServer, clients: Callable[[str | None], httpx2.Client]) -> httpx2.Client:
    return clients(server.root_token)


@pytest.fixture
def anonymous(clients: Callable[[str | None], httpx2.Client]) -> httpx2.Client:
    return clients(None)


@pytest.fixture
def make_token(root: httpx2.Client) -> Callable[..., dict[str, Any]]:
    def make(user_id: int, scopes: tuple[str, ...] = ("api",), **extra: str) -> dict[str, Any]:
        body = {"name": "test", "scopes": list(scopes)} | extra
        answer = root.post(f"/users/{user_id}/personal_access_tokens", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return make


@pytest.fixture(scope="session")
def beginnings(server: LiveServer) -> Beginnings:
    return Beginnings(server)


@pytest.fixture
def make_user(beginnings: Beginnings, clients: Callable[[str | None], httpx2.Client]) -> Callable[..., Account]:
    def make(name: str | None = None, *, admin: bool = False) -> Account:
        username = name or f"user-{next(serial)}"
        user_id, token = beginnings.user(username, admin=admin)
        return Account(user_id, username, token, clients(token))

    return make


@pytest.fixture
def make_dormant(server: LiveServer) -> Callable[[int], None]:
    """Makes a user's tokens such that nobody has used them for a hundred days."""

    def make(user_id: int) -> None:
        asyncio.run(server.app.state.usage.write(0))  # else the server would remember the uses
        with server.app.state.database.writing() as registry:
            mine = update(Token).where(Token.user_id == user_id, Token.last_used_at.is_not(None))
            registry.session.execute(mine.values(last_used_at=now() - 100 * DAY))

    return make


@pytest.fixture
def make_project(root: httpx2.Client) -> Callable[..., dict[str, Any]]:
    def make(owner: Account | None = None, visibility: str = "private", **extra: str) -> dict[str, Any]:
        client = owner.client if owner else root
        answer = client.post("/projects", json={"name": f"project-{next(serial)}", "visibility": visibility} | extra)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return make


@pytest.fixture
def make_version(root: httpx2.Client, beginnings: Beginnings) -> Callable[..., int]:
    """Makes a model version in a project; the answer is the id that the file API takes."""

    def make(project_id: int, model: str | None = None, **body: object) -> int:
        if model is None and not body:
            return beginnings.version(project_id)[1]
        name = model or f"model-{next(serial)}"
        base = f"/projects/{project_id}/{MLFLOW}"
        created = root.post(f"{base}/registered-models/create", json={"name": name})
        assert created.status_code in (200, 400), created.text
        answer = root.post(f"{base}/model-versions/create", json={"name": name} | body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["model_version"]["version"])

    return make


@pytest.fixture
def make_run(root: httpx2.Client) -> Callable[..., dict[str, Any]]:
    """Makes a run; the answer is its `info` with `iid`, the number that `candidate:` takes."""

    def make(project_id: int) -> dict[str, Any]:
        answer = root.post(f"/projects/{project_id}/{MLFLOW}/runs/create", json={"experiment_id": "0"})
        assert answer.status_code == 200, answer.text
        info = dict(answer.json()["run"]["info"])
        info["iid"] = int(info["artifact_uri"].rpartition(":")[2])
        return info

    return make


@pytest.fixture
def version_url(beginnings: Beginnings) -> str:
    """The files of a fresh version in a fresh private project, below the API's base."""
    project_id, version_id = beginnings.version()
    return f"/projects/{project_id}/packages/ml_models/{version_id}/files"


@pytest.fixture
def readiness_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each probe of readiness takes a look of its own."""
    monkeypatch.setattr(health, "REMEMBERED_SECONDS", 0)
