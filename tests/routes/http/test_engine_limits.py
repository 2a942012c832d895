"""What is more than a database can look for is the request's fault: 400 on both, and no word of an outage."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from modelyard.registry.base import MAX_NEEDLE
from modelyard.registry.dialects import is_beyond_limits
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.search import conditions
from modelyard.registry.search.runs import RUNS
from modelyard.registry.tables import Candidate, Experiment
from modelyard.routes.http import failures
from modelyard.services.tracking import experiments
from modelyard.terms.filters import parse_filter
from tests.databases import ON_POSTGRESQL
from tests.live import LiveServer

MLFLOW = "ml/mlflow/api/2.0/mlflow"
EXPERIMENTS = 9_000
CLAUSES = " AND ".join(f"metrics.m{number} > 0" for number in range(100))


class Alarms:
    """Stands for the log of failures."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, event: str, **_facts: object) -> None:
        self.lines.append(event)

    critical = error


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    log = Alarms()
    monkeypatch.setattr(failures, "log", log)
    return log.lines


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("projects", "search"),
        ("users", "search"),
        ("users/{user}/projects", "search"),
        ("namespaces", "search"),
        ("personal_access_tokens", "search"),
        ("projects/{project}/access_tokens", "search"),
        ("projects/{project}/members", "query"),
        ("projects/{project}/members/all", "query"),
        ("projects/{project}/packages", "package_name"),
    ],
)
def test_texts_that_no_pattern_can_hold_are_refused(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], alarms: list[str], path: str, name: str
) -> None:
    user = root.get("/user").json()["id"]
    url = path.format(project=make_project()["id"], user=user)
    for fitting in ("%_\\" * (MAX_NEEDLE // 3), "\U00010000" * MAX_NEEDLE):
        assert root.request("GET", url, json={name: fitting}).status_code == 200
    for needle in ("a" * (MAX_NEEDLE + 1), "_" * 30_000, "a" * 60_000):
        for answer in (root.request("GET", url, json={name: needle}), root.request("GET", url, data={name: needle})):
            assert answer.status_code == 400, answer.text
            assert answer.json() == {"error": "Search query is too long (maximum is 4096 characters)"}
    assert alarms == []


def test_strangers_are_told_so_as_well(anonymous: httpx2.Client, alarms: list[str]) -> None:
    for needle in ("a" * 10_000, "%" * 5_000):
        assert anonymous.get("/projects", params={"search": needle}).status_code == 400
    assert alarms == []


@pytest.fixture(scope="module")
def many(server: LiveServer) -> tuple[int, list[str]]:
    """A project with thousands of experiments, and their ids."""
    with server.client(server.root_token) as root:
        project = int(root.post("/projects", json={"name": "thousands-of-experiments"}).json()["id"])

    def write(registry: Registry) -> None:
        rows = [{"project_id": project, "iid": n, "name": f"e{n}"} for n in range(1, EXPERIMENTS + 1)]
        registry.session.execute(insert(Experiment), rows)

    server.app.state.database.write_now(write)
    return project, [str(number) for number in range(1, EXPERIMENTS + 1)]


@pytest.mark.parametrize("path", ["runs/search", "logged-models/search"])
def test_many_clauses_are_not_asked_of_all_experiments(
    root: httpx2.Client, many: tuple[int, list[str]], alarms: list[str], path: str
) -> None:
    project, ids = many
    answer = root.post(f"/projects/{project}/{MLFLOW}/{path}", json={"experiment_ids": ids, "filter": CLAUSES})
    assert answer.status_code == 400
    assert answer.json() == {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "A filter of 100 clauses can be asked of at most 1000 experiments at a time",
    }
    assert alarms == []


@pytest.mark.parametrize("path", ["runs/search", "logged-models/search"])
@pytest.mark.parametrize(("experiment_count", "clause_count"), [(EXPERIMENTS, 11), (1_000, 100), (EXPERIMENTS, 0)])
def test_what_may_be_asked_fits_into_a_statement(
    root: httpx2.Client, many: tuple[int, list[str]], path: str, experiment_count: int, clause_count: int
) -> None:
    project, ids = many
    clauses = " AND ".join(CLAUSES.split(" AND ")[:clause_count])
    asked: dict[str, Any] = {
        "experiment_ids": ids[:experiment_count],
        "filter": clauses,
        "order_by": ["metrics.m0", "name"],
    }
    if path == "logged-models/search":
        asked["order_by"] = [{"field_name": "metrics.m0"}, {"field_name": "name"}]
    answer = root.post(f"/projects/{project}/{MLFLOW}/{path}", json=asked)
    assert answer.status_code == 200, answer.text


def test_the_database_s_own_limits_are_no_outage(
    root: httpx2.Client, many: tuple[int, list[str]], alarms: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiments, "MAX_COMPARISONS", 10**9)
    monkeypatch.setattr(conditions, "MAX_SCOPED", 10**9)
    monkeypatch.setattr(conditions, "MAX_JOINED", 100)
    project, ids = many
    clauses = " AND ".join(CLAUSES.split(" AND ")[:28])
    asked = {"experiment_ids": ids, "filter": clauses}
    answer = root.post(f"/projects/{project}/{MLFLOW}/runs/search", json=asked, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert answer.json()["message"] == "The request asks for more than the database can look for at a time"
    assert alarms == []


LIMITS = {
    "depth": f"SELECT {'(1 + ' * 20_000}1{')' * 20_000}",
    "terms": f"SELECT {'1 + ' * 100_000}1",
    "parameters": f"SELECT 1 WHERE 1 IN ({', '.join(['%s' if ON_POSTGRESQL else '?'] * 260_000)})",
    "columns": f"SELECT {', '.join(['1'] * 2_001)}",
} | (
    {}
    if ON_POSTGRESQL
    else {
        "pattern": f"SELECT 'a' LIKE '%{'a' * 60_000}%'",
        "tables": f"SELECT 1 FROM {', '.join(f'sqlite_master t{number}' for number in range(65))}",
        "length": "SELECT zeroblob(2000000000)",
        "selects": " UNION ".join(["SELECT 1"] * 501),
    }
)


@pytest.mark.parametrize("limit", LIMITS)
def test_every_limit_of_a_statement_is_known(server: LiveServer, limit: str) -> None:
    database: Database = server.app.state.database
    parameters = tuple(range(260_000)) if limit == "parameters" else None

    def ask(registry: Registry) -> None:
        registry.session.connection().exec_driver_sql(LIMITS[limit], parameters)

    with pytest.raises(DBAPIError) as raised:
        database.read_now(ask)
    assert is_beyond_limits(raised.value), raised.value.orig
    assert database.read_now(lambda registry: registry.session.scalar(select(1))) == 1


def test_other_failures_are_not_taken_for_limits(server: LiveServer) -> None:
    with pytest.raises(DBAPIError) as raised:
        server.app.state.database.read_now(lambda registry: registry.session.execute(text("SELECT nothing")))
    assert not is_beyond_limits(raised.value)


@pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite plans a clause as it stands")
def test_the_plan_of_a_long_filter_joins_few_of_its_clauses(server: LiveServer) -> None:
    found = select(Candidate.id).where(*conditions.conditions(RUNS, parse_filter(CLAUSES)))
    dialect = server.app.state.database.engine.dialect
    compiled = str(found.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    statement = f"EXPLAIN {compiled}"
    lines = server.app.state.database.read_now(
        lambda registry: [row[0] for row in registry.session.connection().exec_driver_sql(statement)]
    )
    joins = [line for line in lines if re.search(r"(Nested Loop|Join)[^:]* +\(cost", line)]
    assert len(joins) == conditions.MAX_JOINED
