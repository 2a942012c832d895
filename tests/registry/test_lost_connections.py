"""PostgreSQL that goes away and comes back: what fails says so, and nothing has to be restarted."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from tests import postgres
from tests.databases import ON_POSTGRESQL
from tests.live import LiveServer, running
from tests.pgbouncer import running_pgbouncer
from tests.waiting import eventually

pytestmark = [
    pytest.mark.skipif(not ON_POSTGRESQL, reason="it is about PostgreSQL"),
    pytest.mark.usefixtures("readiness_at_once"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres.Cluster]:
    own = postgres.new_cluster()
    yield own
    own.remove()


@pytest.fixture(scope="module", params=["directly", "through a pooler"])
def fresh(request: pytest.FixtureRequest, cluster: postgres.Cluster) -> Iterator[Callable[[], str]]:
    """Gives the URL of a new database on the cluster."""
    if request.param == "directly":
        yield cluster.fresh
        return
    with running_pgbouncer(cluster, "session") as pooler:
        yield lambda: pooler.before(cluster.fresh())


@pytest.fixture(scope="module")
def yard(fresh: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with running(tmp_path_factory.mktemp("yard"), database_url=fresh()) as live:
        yield live


@pytest.fixture
def root(yard: LiveServer) -> Iterator[httpx2.Client]:
    with yard.client(yard.root_token) as client:
        yield client


def cut_all(cluster: postgres.Cluster) -> None:
    others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
    cluster.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


def readiness(yard: LiveServer) -> int:
    return httpx2.get(f"{yard.url}/-/readiness", timeout=30).status_code


def test_connections_that_were_cut_are_replaced_unnoticed(
    cluster: postgres.Cluster, yard: LiveServer, root: httpx2.Client
) -> None:
    for i in range(5):
        assert root.post("/projects", json={"name": f"p{i}"}).status_code == 201
        cut_all(cluster)
        assert root.post("/projects", json={"name": f"q{i}"}).status_code == 201
        cut_all(cluster)
        assert root.get(f"/projects/root%2Fq{i}").status_code == 200
        cut_all(cluster)
        assert readiness(yard) == 200


def test_a_connection_that_is_cut_within_a_unit_of_work_runs_it_again(
    cluster: postgres.Cluster, fresh: Callable[[], str]
) -> None:
    database, attempts = Database(fresh()), 0

    def work(registry: Registry) -> None:
        nonlocal attempts
        attempts += 1
        registry.users.add(f"u{attempts}")
        if attempts == 1:
            cut_all(cluster)
            registry.users.any()

    database.write_now(work)
    with database.reading() as registry:
        assert [registry.users.by_username(name) is not None for name in ("u1", "u2")] == [False, True]
    database.close()


def test_a_connection_that_is_cut_before_the_commit_leaves_it_to_the_client(
    cluster: postgres.Cluster, fresh: Callable[[], str]
) -> None:
    database, attempts = Database(fresh()), 0

    def work(registry: Registry) -> None:
        nonlocal attempts
        attempts += 1
        registry.users.add("u")
        cut_all(cluster)

    with pytest.raises(OperationalError):
        database.write_now(work)
    assert attempts == 1  # whether a commit that got no answer was heard, nobody knows
    database.close()


def test_a_unit_of_work_that_another_transaction_thwarts_runs_again(fresh: Callable[[], str]) -> None:
    database, attempts = Database(fresh()), 0

    def work(registry: Registry) -> bool:
        nonlocal attempts
        attempts += 1
        taken = registry.users.by_username("wanted") is not None
        if attempts == 1:
            with database.writing() as other:
                other.users.add("wanted")
        if not taken:
            registry.users.add("wanted")
        return taken

    assert database.write_now(work)
    assert attempts == 2
    database.close()


def test_a_statement_that_takes_too_long_is_stopped(fresh: Callable[[], str]) -> None:
    database = Database(f"{fresh()}&options=-c%20statement_timeout%3D50")
    with pytest.raises(OperationalError, match="statement timeout"):
        database.read_now(lambda registry: registry.session.execute(text("SELECT pg_sleep(10)")))
    database.close()


def test_a_database_that_is_away_is_503_until_it_is_back(
    cluster: postgres.Cluster, yard: LiveServer, root: httpx2.Client
) -> None:
    project = root.post("/projects", json={"name": "away"}).json()["id"]
    mlflow = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
    assert root.post(f"{mlflow}/runs/create", json={"experiment_id": "0"}).status_code == 200
    file = f"/projects/{project}/packages/ml_models/candidate:1/files/f"
    assert root.put(file, content=b"before").status_code == 201
    cluster.stop()
    try:
        for method, url in (("GET", "/user"), ("POST", "/projects"), ("GET", file), ("PUT", file)):
            answer = root.request(method, url, json={"name": "x"} if method == "POST" else None)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert answer.json() == {"message": "503 Service Unavailable"}
        answer = root.post(f"{mlflow}/runs/create", json={"experiment_id": "0"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert readiness(yard) == 503
        assert httpx2.get(f"{yard.url}/-/liveness").status_code == 200
    finally:
        cluster.start()
    eventually(lambda: readiness(yard) == 200)  # a pooler tries once a second
    assert root.get(file).content == b"before"
    assert root.put(file, content=b"after").status_code == 201
    assert yard.unfinished() == []


def test_a_text_that_no_database_could_keep_is_400(yard: LiveServer, root: httpx2.Client) -> None:
    assert root.get("/projects/a%00%2Fb").status_code == 400
    segments = [secrets.token_hex(100) for _ in range(19)]  # nothing to compress, and more than an index holds
    answer = root.post("/projects", json={"name": "p", "namespace_path": "/".join(segments)})
    assert (answer.status_code, answer.json()) == (400, {"error": "A value cannot be stored"})
    assert readiness(yard) == 200
