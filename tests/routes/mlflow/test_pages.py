"""Pages of searches: as long as they are asked for, up to MLflow's limits, whatever the server reads at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError

from modelyard.registry.repository import Registry
from modelyard.registry.search import weights
from modelyard.registry.tables import Candidate, Experiment
from modelyard.routes.mlflow import pages
from modelyard.services.tracking import runs
from tests.live import LiveServer
from tests.routes.mlflow.conftest import Mlflow, code_of

INVALID = "INVALID_PARAMETER_VALUE"
Ask = Callable[..., dict[str, Any]]
LONG = "\u00e9" * 5_000  # 10 000 bytes


@pytest.fixture(scope="module")
def seven(server: LiveServer, clients: Callable[[str | None], httpx2.Client]) -> Mlflow:
    """Seven of everything, each with a long text, in a project that is only read."""
    root = clients(server.root_token)
    mlflow = Mlflow(root, root.post("/projects", json={"name": "seven"}).json()["id"])
    long = [[{"key": "t", "value": f"{number} {LONG}"}] for number in range(7)]
    for number, tags in enumerate(long):
        mlflow.ok("POST", "experiments/create", name=f"e{number}", tags=tags)
    for number, tags in enumerate(long):
        run = mlflow.run("1", start_time=number, run_name=f"r{number}", tags=tags)
        mlflow.ok("POST", "runs/log-metric", run_id=run, key="m", value=number, timestamp=1)
        mlflow.ok("POST", "runs/log-metric", run_id=mlflow.run("2"), key="other", value=number, timestamp=1)
        mlflow.model(f"m{number}", tags=tags)
        mlflow.version(f"m{number}", tags=tags, description=LONG)
        model = mlflow.logged_model(experiment_id="1", name=f"l{number}", tags=tags)["info"]["model_id"]
        point = {"key": "m", "value": number, "timestamp": number, "step": number, "model_id": model}
        mlflow.ok("POST", "runs/log-metric", run_id=run, **point)
    return mlflow


SEARCHES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("POST", "experiments/search", "experiments", {"order_by": ["name DESC"]}),
    ("GET", "experiments/search", "experiments", {}),
    ("POST", "runs/search", "runs", {"experiment_ids": ["1", "2"]}),
    ("POST", "runs/search", "runs", {"experiment_ids": ["1", "2"], "order_by": ["metrics.m DESC", "run_name"]}),
    ("POST", "runs/search", "runs", {"experiment_ids": ["1"], "order_by": ["tags.t"], "filter": "metrics.m > 1"}),
    ("GET", "registered-models/search", "registered_models", {}),
    ("POST", "registered-models/search", "registered_models", {"order_by": ["name DESC"]}),
    ("GET", "model-versions/search", "model_versions", {}),
    ("POST", "model-versions/search", "model_versions", {"order_by": ["version_number ASC"]}),
    ("POST", "logged-models/search", "models", {"experiment_ids": ["1"], "order_by": [{"field_name": "metrics.m"}]}),
]
each_search = pytest.mark.parametrize(("method", "path", "key", "query"), SEARCHES)


@pytest.mark.parametrize(("most_items", "most_bytes"), [(3, 10**9), (2_000, 25_000), (2_000, 1)])
@each_search
def test_a_page_does_not_depend_on_what_is_read_at_once(
    seven: Mlflow,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    key: str,
    query: dict[str, Any],
    most_items: int,
    most_bytes: int,
) -> None:
    whole = seven.ok(method, path, **query)
    assert len(whole[key]) >= 5
    assert whole["next_page_token"] is None
    five = seven.ok(method, path, **query, max_results=5)
    monkeypatch.setattr(pages, "MAX_PIECE", most_items)
    monkeypatch.setattr(weights, "MOST_BYTES", most_bytes)
    assert seven.ok(method, path, **query) == whole
    assert seven.ok(method, path, **query, max_results=5) == five


@each_search
def test_a_page_with_too_many_bytes_ends_early_and_says_so(
    seven: Mlflow, monkeypatch: pytest.MonkeyPatch, method: str, path: str, key: str, query: dict[str, Any]
) -> None:
    whole = seven.ok(method, path, **query)[key]
    monkeypatch.setattr(pages, "MAX_PIECE", 1)
    monkeypatch.setattr(pages, "MAX_BYTES", len(json.dumps(whole[0], ensure_ascii=False).encode()) + 1)
    found, token, count = [], None, 0
    while token or not count:
        page = seven.ok(method, path, **query, **({"page_token": token} if token else {}))
        found += page[key]
        token, count = page["next_page_token"], count + 1
    assert found == whole
    assert count >= 3


@pytest.mark.parametrize(
    ("method", "path", "most", "query"),
    [
        ("POST", "experiments/search", 50_000, {}),
        ("GET", "experiments/search", 50_000, {}),
        ("POST", "runs/search", 50_000, {"experiment_ids": ["0"]}),
        ("GET", "registered-models/search", 1_000, {}),
        ("POST", "registered-models/search", 1_000, {}),
        ("GET", "model-versions/search", 200_000, {}),
        ("POST", "model-versions/search", 200_000, {}),
        ("POST", "logged-models/search", 50_000, {"experiment_ids": ["0"]}),
    ],
)
def test_more_results_than_mlflow_gives_are_refused(
    mlflow: Mlflow, method: str, path: str, most: int, query: dict[str, Any]
) -> None:
    mlflow.run("0")
    for number in (0, 1, most, str(most)):
        mlflow.ok(method, path, max_results=number, **query)
    for number in (most + 1, str(most + 1), 2**31, 2**63 - 1):
        options = {"params" if method == "GET" else "json": {"max_results": number} | query}
        refused = mlflow.send(method, path, **options)
        assert code_of(refused, 400) == INVALID
        words = f"Invalid value {number} for parameter 'max_results' supplied. It must be at most {most}"
        assert refused.json()["message"] == words


def insert_runs(server: LiveServer, mlflow: Mlflow, count: int) -> None:
    """Runs without anything, in experiment 1 of a project."""

    def write(registry: Registry) -> None:
        project_id = int(mlflow.project)
        mine = (Experiment.project_id == project_id) & (Experiment.iid == 1)
        experiment = registry.session.scalar(select(Experiment.id).where(mine))
        common = {"project_id": project_id, "experiment_id": experiment, "name": "r", "status": "RUNNING"}
        rows = [
            common | {"iid": number, "eid": f"{project_id}-{number}", "start_time": number}
            for number in range(1, count + 1)
        ]
        registry.session.execute(insert(Candidate), rows)

    server.app.state.database.write_now(write)


def test_thousands_of_runs_come_at_once(server: LiveServer, mlflow: Mlflow) -> None:
    mlflow.experiment()
    insert_runs(server, mlflow, 5_003)
    expected = [f"{mlflow.project}-{number}" for number in range(5_003, 0, -1)]

    def found(**query: Any) -> tuple[list[str], str | None]:
        page = mlflow.ok("POST", "runs/search", experiment_ids=["1"], **query)
        return [run["info"]["run_id"] for run in page["runs"]], page["next_page_token"]

    assert found(max_results=50_000) == (expected, None)
    assert found(max_results=5_003) == (expected, None)
    most, token = found(max_results=5_000)
    assert most == expected[:5_000]
    assert found(max_results=5_000, page_token=token) == (expected[5_000:], None)
    usual, token = found()
    assert (usual, token is None) == (expected[:1_000], False)  # as MLflow gives to clients that name no number


def test_a_long_page_that_cannot_go_on_is_cut_off(
    server: LiveServer, mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow.experiment()
    insert_runs(server, mlflow, 50)
    monkeypatch.setattr(pages, "MAX_PIECE", 20)
    search, calls = runs.search_runs, 0

    def fail_later(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise OperationalError("SELECT", {}, Exception("the database went away"))
        return search(*arguments)

    monkeypatch.setattr(runs, "search_runs", fail_later)
    with pytest.raises(httpx2.RemoteProtocolError):
        mlflow.post("runs/search", experiment_ids=["1"])


def test_a_page_that_fails_at_once_is_an_answer(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow.experiment()

    def fail(*_arguments: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception("the database went away"))

    monkeypatch.setattr(runs, "search_runs", fail)
    assert mlflow.post("runs/search", experiment_ids=["1"]).status_code == 503


def test_a_token_that_is_revoked_ends_a_long_page(
    server: LiveServer,
    mlflow: Mlflow,
    monkeypatch: pytest.MonkeyPatch,
    root: httpx2.Client,
    make_token: Callable[..., dict[str, Any]],
    client_for: Callable[[str], httpx2.Client],
) -> None:
    mlflow.experiment()
    insert_runs(server, mlflow, 50)
    made = make_token(1)
    monkeypatch.setattr(pages, "MAX_PIECE", 20)
    search, calls = runs.search_runs, 0

    def revoke(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            assert root.delete(f"/personal_access_tokens/{made['id']}").status_code == 204
        return search(*arguments)

    monkeypatch.setattr(runs, "search_runs", revoke)
    with pytest.raises(httpx2.RemoteProtocolError):
        Mlflow(client_for(made["token"]), mlflow.project).post("runs/search", experiment_ids=["1"])
    assert calls == 1


def test_a_history_comes_whole_unless_pages_are_asked_for(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    run = mlflow.run()
    for start in range(0, 3_000, 1_000):
        points = [{"key": "m", "value": s / 2, "timestamp": s, "step": s} for s in range(start, start + 1_000)]
        mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=points)

    def steps(**query: Any) -> tuple[list[int], bool]:
        page = mlflow.ok("GET", "metrics/get-history", run_id=run, metric_key="m", **query)
        return [point["step"] for point in page["metrics"]], page["next_page_token"] is None

    assert steps() == steps(max_results=25_000) == steps(max_results=0) == (list(range(3_000)), True)
    assert steps(max_results=2_500) == (list(range(2_500)), False)
    monkeypatch.setattr(pages, "MAX_PIECE", 700)
    assert steps() == (list(range(3_000)), True)


def test_long_texts_end_a_page_sooner_than_many_items(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is small there comes as much as is asked for."""
    monkeypatch.setattr(pages, "TEXT_BYTES", 100_000)
    monkeypatch.setattr(pages, "MAX_PIECE", 1)
    mlflow.experiment("small")
    mlflow.experiment("large")
    for _ in range(155):  # so many that what differs by the numbers of projects does not matter
        mlflow.run("1")
    for _ in range(6):
        mlflow.run("2", tags=[{"key": "k", "value": "v" * 40_000}])
    small = mlflow.post("runs/search", experiment_ids=["1"])
    assert len(small.content) > 70_000
    assert (len(small.json()["runs"]), small.json()["next_page_token"]) == (155, None)
    large = mlflow.post("runs/search", experiment_ids=["2"])
    assert len(large.json()["runs"]) == 3
    assert large.json()["next_page_token"]
    monkeypatch.setattr(pages, "MAX_BYTES", 10_000)
    assert len(mlflow.ok("POST", "runs/search", experiment_ids=["1"])["runs"]) < 30


def test_all_experiments_are_listed_in_pages(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow.model("m")  # which has an experiment of its own
    for number in range(5):
        name = mlflow.experiment(f"e{number}")
        mlflow.ok("POST", "experiments/set-experiment-tag", experiment_id=name, key="k", value=LONG)
    mlflow.ok("POST", "experiments/delete", experiment_id="3")
    whole = mlflow.ok("GET", "experiments/list")
    assert [each["name"] for each in whole["experiments"]] == ["e4", "e3", "e2", "e0", "[model]m", "Default"]
    assert whole["next_page_token"] is None
    monkeypatch.setattr(pages, "TEXT_BYTES", 15_000)
    monkeypatch.setattr(pages, "MAX_PIECE", 1)
    for options in ({}, {"max_results": 2}):
        found: list[Any] = []
        token, count = "", 0
        while token or not count:
            page = mlflow.ok("GET", "experiments/list", **options, **({"page_token": token} if token else {}))
            found += page["experiments"]
            token, count = page["next_page_token"], count + 1
        assert found == whole["experiments"]
        assert count == 3
    for wrong in ("x", "WyJhIl0="):
        assert code_of(mlflow.get("experiments/list", page_token=wrong), 400) == INVALID
    assert code_of(mlflow.get("experiments/list", max_results=-1), 400) == INVALID


PAIR = {"key": "k{number}", "value": "{text}"}
ON_ONE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "tags": ("POST", "runs/set-tag", {"run_id": "{run}", **PAIR}),
    "parameters": ("POST", "runs/log-parameter", {"run_id": "{run}", **PAIR}),
    "datasets": (
        *("POST", "runs/log-inputs"),
        {"run_id": "{run}", "datasets": [{"dataset": {"name": "d", "digest": "{number}", "profile": "{text}"}}]},
    ),
    "experiment": ("POST", "experiments/set-experiment-tag", {"experiment_id": "0", **PAIR}),
    "model": ("POST", "registered-models/set-tag", {"name": "m", **PAIR}),
    "version": ("POST", "model-versions/set-tag", {"name": "m", "version": "1.0.0", **PAIR}),
    "logged model": ("PATCH", "logged-models/{logged}/tags", {"tags": [PAIR]}),
    "logged model's parameters": ("POST", "logged-models/{logged}/params", {"params": [PAIR]}),
    "metrics": (
        *("POST", "runs/log-batch"),
        {"run_id": "{run}", "metrics": [{"key": f"{{number}} {i}", "value": 1, "timestamp": 1} for i in range(200)]},
    ),
}


@pytest.mark.parametrize("kind", ON_ONE)
def test_what_is_shown_with_one_thing_has_a_bound(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(weights, "MOST_OF_ONE", 100_000)
    monkeypatch.setattr(weights, "LOOK_BYTES", 1)  # each addition is looked at
    mlflow.model("m")
    mlflow.version("m", "1.0.0")
    names = {
        "{run}": mlflow.run("0"),
        "{logged}": mlflow.logged_model()["info"]["model_id"],
        "{text}": "\u00e9" * 10_000,
    }
    method, path, body = ON_ONE[kind]

    def put_on(number: int) -> httpx2.Response:
        content, address = json.dumps(body, ensure_ascii=False), path
        for name, value in {**names, "{number}": str(number)}.items():
            content, address = content.replace(name, value), address.replace(name, value)
        return mlflow.send(method, address, json=json.loads(content))

    assert [put_on(number).status_code for number in range(4)] == [200] * 4
    answers = [put_on(number) for number in range(4, 8)]
    assert [answer.status_code for answer in answers][1:] == [400] * 3
    assert code_of(answers[-1], 400) == INVALID
    assert "can have at most 100000 bytes" in answers[-1].json()["message"]
    assert put_on(0).status_code == 200  # again, or another value in its place


def test_large_additions_are_always_looked_at_and_small_ones_seldom(
    mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = mlflow.run("0")
    monkeypatch.setattr(weights, "MOST_OF_ONE", 1)
    monkeypatch.setattr(weights, "LOOK_BYTES", 10_000)
    monkeypatch.setattr("modelyard.registry.search.weights.random", lambda: 0.5)
    assert mlflow.post("runs/set-tag", run_id=run, key="k", value="v" * 4_000).status_code == 200
    assert mlflow.post("runs/set-tag", run_id=run, key="k", value="v" * 6_000).status_code == 400


def _asked(number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Searches that are spelled in a way of their own for each number, by many keys or many conditions."""
    order = [f"metrics.m{key} {'DESC' if number >> key & 1 else 'ASC'}" for key in range(19)]
    tags = " AND ".join(f"tags.t{key} {'!=' if number >> key % 8 & 1 else '='} 'x'" for key in range(20))
    yield "runs/search", {"experiment_ids": ["0"], "order_by": order}
    yield "runs/search", {"experiment_ids": ["0"], "filter": tags}
    yield "logged-models/search", {"experiment_ids": ["0"], "order_by": order}
    yield "logged-models/search", {"experiment_ids": ["0"], "filter": tags}
    yield "experiments/search", {"filter": tags}


def test_statements_of_a_kind_that_has_no_end_are_not_remembered(server: LiveServer, mlflow: Mlflow) -> None:
    """SQLAlchemy keeps some hundred of those that it has compiled: at 2 MB each, more than a small machine has."""
    compiled = server.app.state.database.engine._compiled_cache
    sizes = []
    for number in range(5):
        for path, body in _asked(number):
            mlflow.ok("POST", path, max_results=1, **body)
        sizes.append(len(compiled))
    assert sizes[-1] - sizes[0] < 4
