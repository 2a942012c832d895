"""Searching runs: filters, orders and pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.live import LiveServer, running
from tests.routes.mlflow.conftest import Mlflow, code_of

LONG = "x" * 70  # longer than what an index holds of a value


@pytest.fixture(scope="module")
def four(server: LiveServer, clients: Callable[[str | None], httpx2.Client]) -> Mlflow:
    """Runs a to d, for tests that change nothing."""
    root = clients(server.root_token)
    return with_four(Mlflow(root, root.post("/projects", json={"name": "four-runs"}).json()["id"]))


@pytest.fixture
def own_four(mlflow: Mlflow) -> Mlflow:
    """Runs a to d, for a test that changes something."""
    return with_four(mlflow)


def with_four(mlflow: Mlflow) -> Mlflow:
    """Runs a to d, the last of which began first and has nothing but NaN."""
    experiment = mlflow.experiment()
    runs: list[dict[str, Any]] = [
        {"name": "a", "m": 0.1, "p": "x", "t": "1", "start": 400, "dataset": "train", "status": "FINISHED"},
        {"name": "b", "m": 0.3, "p": "y", "t": "2", "start": 300, "dataset": "test", "status": "FAILED"},
        {"name": "c", "m": 0.2, "p": LONG, "start": 200},
        {"name": "d", "m": "NaN", "start": 100, "other": 7},
    ]
    for run in runs:
        user = {"user_id": "ada"} if run["name"] == "a" else {}
        run_id = mlflow.run(experiment, run_name=run["name"], start_time=run["start"], **user)
        values = {"m": run["m"]} | ({"other": run["other"]} if "other" in run else {})
        mlflow.ok(
            "POST",
            "runs/log-batch",
            run_id=run_id,
            metrics=[{"key": key, "value": value, "timestamp": 1} for key, value in values.items()],
            params=[{"key": "p", "value": run["p"]}] if "p" in run else [],
            tags=[{"key": "a b", "value": run["t"]}] if "t" in run else [],
        )
        if "dataset" in run:
            dataset = {"name": run["dataset"], "digest": f"d{run['name']}", "source_type": "local", "source": "{}"}
            tags = [{"key": "mlflow.data.context", "value": f"for-{run['dataset']}"}]
            mlflow.ok("POST", "runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": tags}])
        if "status" in run:
            mlflow.ok("POST", "runs/update", run_id=run_id, status=run["status"], end_time=run["start"] + 5)
    return mlflow


def names(mlflow: Mlflow, **query: Any) -> str:
    found = mlflow.ok("POST", "runs/search", **({"experiment_ids": ["1"]} | query))["runs"]
    return "".join(run["info"]["run_name"] for run in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "abcd"),
        ("", "abcd"),
        ("metrics.m > 0.1", "bc"),
        ("metrics.m >= 0.1 and metrics.m < 0.3", "ac"),
        ("metric.m != 0.1", "bcd"),  # NaN differs from every number …
        ("metrics.m != 0", "abcd"),
        ("metrics.m <= 0", ""),  # … and is not less, not more and not equal
        ("metrics.m > -1", "abc"),
        ("metrics.m != 0.1 AND metrics.m < 5", "bc"),
        ("metrics.other != 1", "d"),  # what is not there differs from nothing
        ("metrics.nothing != 1", ""),
        ("params.nothing != 'x'", ""),
        ("tags.nothing != 'x'", ""),
        ("tags.`a b` != '3'", "ab"),
        ("end_time != 1", "ab"),
        ("metrics.m = 0.1", "a"),
        ("metrics.other > 1", "d"),
        ("metrics.nothing > 1", ""),
        ("params.p = 'x'", "a"),
        ("param.p != 'x'", "bc"),
        (f"params.p = '{LONG}'", "c"),
        (f"params.p = '{LONG}x'", ""),
        ("params.p LIKE 'x%'", "ac"),
        ("params.p ILIKE 'X'", "a"),
        ("params.p IS NULL", "d"),
        ("params.p IS NOT NULL", "abc"),
        ("tags.`a b` = '1'", "a"),
        ('tags."a b" != "1"', "b"),
        ("tags.mlflow.runName = 'c'", "c"),
        ("attributes.status = 'FINISHED'", "a"),
        ("status != 'RUNNING'", "ab"),
        ("attributes.run_name LIKE '%b%'", "b"),
        ("run_name IN ('a', 'd')", "ad"),
        ("run_name NOT IN ('a', 'd')", "bc"),
        ("start_time > 150 AND start_time < 350", "bc"),
        ("attr.created >= 400", "a"),
        ("end_time > 0", "ab"),
        ("datasets.name = 'train'", "a"),
        ("dataset.context LIKE 'for-%'", "ab"),
        ("dataset.digest IN ('db', 'x')", "b"),
        ("user_id = '1'", "abcd"),
        ("user_id = 'root'", "abcd"),
        ("user_id = '2'", ""),
        ("user_id != '1'", ""),
        ("user_id != 'root'", ""),
        ("user_id != 'ada'", "bcd"),
        ("attributes.user_id = 'ada'", "a"),
        ("user_id LIKE 'ad%'", "a"),
        ("user_id ILIKE 'ROOT'", "abcd"),
        ("user_id IN ('ada', 'x')", "a"),
        ("user_id NOT IN ('ada', 'x')", "bcd"),
        ("user_id NOT IN ('x')", "abcd"),
        ("artifact_uri = '{b}'", "b"),
        ("artifact_uri != '{b}'", "acd"),
        ("attributes.artifact_uri LIKE '%{b}'", "b"),
        ("artifact_uri LIKE 'mlflow-artifacts:%'", "abcd"),
        ("artifact_uri ILIKE 'MLFLOW-ARTIFACTS:%'", "abcd"),
        ("artifact_uri IN ('{b}', 'x')", "b"),
        ("artifact_uri NOT IN ('{b}')", "acd"),
        ("artifact_uri = 'elsewhere'", ""),
        ("metrics.m > 0 and params.p = 'y' and tags.`a b` = '2' and status = 'FAILED'", "b"),
    ],
)
def test_filters(four: Mlflow, text: str | None, expected: str) -> None:
    if text and "{b}" in text:
        (b,) = four.ok("POST", "runs/search", experiment_ids=["1"], filter="run_name = 'b'")["runs"]
        text = text.replace("{b}", b["info"]["artifact_uri"])
    assert names(four, filter=text) == expected


def test_runs_are_found_by_the_artifact_uri_that_they_show_also_when_they_were_promoted(own_four: Mlflow) -> None:
    own_four.model()
    (run,) = own_four.ok("POST", "runs/search", experiment_ids=["1"], filter="run_name = 'c'")["runs"]
    before = run["info"]["artifact_uri"]
    own_four.version(run_id=run["info"]["run_id"])
    after = own_four.show_run(run["info"]["run_id"])["info"]["artifact_uri"]
    assert names(own_four, filter=f"artifact_uri = '{after}'") == "c"
    assert (names(own_four, filter=f"artifact_uri = '{before}'") == "c") is (before == after)
    shown = [run["info"] for run in own_four.ok("POST", "runs/search", experiment_ids=["1"])["runs"]]
    expected = "".join(info["run_name"] for info in sorted(shown, key=lambda info: str(info["artifact_uri"])))
    assert names(own_four, order_by=["artifact_uri"]) == expected
    assert names(own_four, order_by=["attributes.artifact_uri DESC"], max_results=200) == expected[::-1]


def test_runs_are_found_by_gitlabs_form_of_an_artifact_uri_where_it_is_shown(tmp_path: Path) -> None:
    with running(tmp_path, mlflow_artifact_uri="gitlab") as live, live.client(live.root_token) as client:
        mlflow = Mlflow(client, client.post("/projects", json={"name": "p"}).json()["id"])
        run = mlflow.show_run(mlflow.run("0"))["info"]
        other = mlflow.run("0")
        assert run["artifact_uri"].startswith(f"{live.url}/api/v4/projects/")

        def found(text: str) -> list[str]:
            runs = mlflow.ok("POST", "runs/search", experiment_ids=["0"], filter=text)["runs"]
            return [each["info"]["run_id"] for each in runs]

        assert found(f"artifact_uri = '{run['artifact_uri']}'") == [run["run_id"]]
        assert found(f"artifact_uri != '{run['artifact_uri']}'") == [other]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([], "abcd"),
        ("metrics.m DESC", "bcad"),
        (["metrics.m ASC"], "acbd"),
        (["metrics.other DESC"], "dabc"),
        (["params.p ASC"], "acbd"),
        (["params.p DESC"], "bcad"),
        (["tags.`a b` DESC"], "bacd"),
        (["start_time ASC"], "dcba"),
        (["attributes.end_time ASC"], "bacd"),
        (["attributes.end_time DESC", "run_name DESC"], "abdc"),
        (["status ASC", "metrics.m DESC"], "bacd"),
        (["run_name DESC"], "dcba"),
        ("created_at ASC", "abcd"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 200])
def test_orders_hold_over_every_size_of_page(four: Mlflow, order: Any, expected: str, size: int) -> None:
    found, token = "", None
    while True:
        page = four.ok("POST", "runs/search", experiment_ids=["1"], order_by=order, max_results=size, page_token=token)
        assert len(page["runs"]) <= size
        found += "".join(run["info"]["run_name"] for run in page["runs"])
        token = page["next_page_token"]
        if token is None:
            break
    assert found == expected


@pytest.mark.parametrize(
    "order",
    [[], ["metrics.none DESC"], ["metrics.m"], ["tags.none"], ["params.p DESC"], ["status"], ["start_time ASC"]],
)
@pytest.mark.parametrize("size", [2, 200])
def test_runs_that_are_equal_in_an_order_come_by_their_ids(mlflow: Mlflow, order: list[str], size: int) -> None:
    experiments = [mlflow.experiment(name) for name in "ab"]
    ids = [mlflow.run(experiments[number % 2], start_time=5) for number in range(6)]
    for run in ids:
        mlflow.ok("POST", "runs/log-metric", run_id=run, key="m", value=1, timestamp=1)
        mlflow.ok("POST", "runs/log-parameter", run_id=run, key="p", value="x")
    latest = mlflow.run(experiments[0], start_time=6)
    found: list[str] = []
    token = ""
    while token is not None:
        asked = {"experiment_ids": experiments, "order_by": order, "max_results": size, "page_token": token}
        page = mlflow.ok("POST", "runs/search", **asked)
        found += [run["info"]["run_id"] for run in page["runs"]]
        token = page["next_page_token"]
    assert [run for run in found if run != latest] == sorted(ids)
    assert latest in found


def test_several_experiments_are_searched_at_once(own_four: Mlflow) -> None:
    other = own_four.experiment("other")
    own_four.run(other, run_name="e", start_time=250)
    assert names(own_four, experiment_ids=["1", other]) == "abecd"
    assert names(own_four, experiment_ids=["1", other], order_by=["metrics.m"]) == "acbde"
    assert names(own_four, experiment_ids="1") == "abcd"


def test_view_types_tell_the_deleted_from_the_living(own_four: Mlflow) -> None:
    run = own_four.ok("POST", "runs/search", experiment_ids=["1"], filter="run_name = 'b'")["runs"][0]
    own_four.ok("POST", "runs/delete", run_id=run["info"]["run_id"])
    views = ("ACTIVE_ONLY", "DELETED_ONLY", "ALL")
    assert [names(own_four, run_view_type=view) for view in views] == ["acd", "b", "abcd"]


def test_found_runs_bring_all_that_was_logged(four: Mlflow) -> None:
    (run,) = four.ok("POST", "runs/search", experiment_ids=["1"], filter="run_name = 'a'")["runs"]
    assert run["data"]["metrics"] == [{"key": "m", "value": 0.1, "timestamp": 1, "step": 0}]
    assert run["data"]["params"] == [{"key": "p", "value": "x"}]
    assert run["inputs"]["dataset_inputs"][0]["dataset"]["name"] == "train"


@pytest.mark.parametrize("unknown", ["999", 999, str(2**63)])
def test_unknown_experiments_among_others_have_no_runs(own_four: Mlflow, unknown: object) -> None:
    for experiment_ids in (["1", unknown], [unknown, "1", unknown]):
        assert names(own_four, experiment_ids=experiment_ids) == "abcd"
        assert names(own_four, experiment_ids=experiment_ids, filter="metrics.m > 0.1", order_by=["metrics.m"]) == "cb"
    logged = own_four.logged_model(experiment_id="1")["info"]["model_id"]
    found = own_four.ok("POST", "logged-models/search", experiment_ids=["1", unknown])["models"]
    assert [model["info"]["model_id"] for model in found] == [logged]
    assert names(own_four, experiment_ids=["0", unknown]) == ""


def test_another_projects_experiments_are_unknown(four: Mlflow, make_project: Callable[..., dict[str, Any]]) -> None:
    other = Mlflow(four.client, make_project()["id"])
    other.experiment("one")
    foreign = other.experiment("two")
    other.run(foreign)
    assert names(four, experiment_ids=["1", foreign]) == "abcd"


@pytest.mark.parametrize("path", ["runs/search", "logged-models/search"])
@pytest.mark.parametrize("experiment_ids", [[], ["999"], ["998", "999"], ["x"], ["1", "x"], ["1", "-1"]])
def test_a_search_in_no_experiment_at_all_is_refused(four: Mlflow, path: str, experiment_ids: list[str]) -> None:
    assert code_of(four.post(path, experiment_ids=experiment_ids), 404) == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "metrics.m > 'x'"},
        {"filter": "metrics.m LIKE 'x'"},
        {"filter": "metrics.m IS NULL"},
        {"filter": "params.p > 'x'"},
        {"filter": "params.p = 5"},
        {"filter": "params.p IN ('x')"},
        {"filter": "attributes.nonsense = 'x'"},
        {"filter": "start_time LIKE '1%'"},
        {"filter": "status > 'A'"},
        {"filter": "dataset.nonsense = 'x'"},
        {"filter": "dataset.name > 'x'"},
        {"filter": "nonsense.m = 'x'"},
        {"filter": "metrics.m > 1 OR metrics.m < 0"},
        {"filter": "(metrics.m > 1)"},
        {"filter": " AND ".join(["metrics.m > 1"] * 101)},
        {"filter": "params.p = '" + "x" * 10_000 + "'"},
        {"order_by": ["dataset.name"]},
        {"order_by": ["nonsense"]},
        {"order_by": "metrics.m UP"},
        {"page_token": "W10="},
        {"run_view_type": "SOME"},
    ],
)
def test_wrong_searches_are_refused_with_a_reason(four: Mlflow, query: dict[str, Any]) -> None:
    answer = four.post("runs/search", experiment_ids=["1"], **query)
    assert code_of(answer, 400) == "INVALID_PARAMETER_VALUE"
    assert len(answer.json()["message"]) > 15


def test_experiment_ids_are_needed(four: Mlflow) -> None:
    answer = four.post("runs/search")
    assert (answer.status_code, answer.json()["error"]) == (400, "experiment_ids is missing")
