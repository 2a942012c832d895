"""A run's files by its id, and the models that MLflow 2 tells of among them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from modelyard.services.files import artifacts
from tests.routes.mlflow.conftest import Mlflow, code_of

INVALID, MISSING = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"
HISTORY = "mlflow.log-model.history"
MODEL: dict[str, Any] = {
    "run_id": "r",
    "artifact_path": "m",
    "utc_time_created": "2024-01-01 00:00:00",
    "model_uuid": "u",
    "flavors": {"python_function": {"loader_module": "x", "config": {"secret": 1}}},
    "signature": {"inputs": "[]"},
}


def put(mlflow: Mlflow, owner: str, *names: str) -> None:
    for name in names:
        assert mlflow.client.put(mlflow.file(owner, name), content=name.encode()).status_code == 201


def paths(mlflow: Mlflow, run: str, **query: Any) -> list[str]:
    return [file["path"] for file in mlflow.ok("GET", "artifacts/list", run_id=run, **query)["files"]]


def test_a_runs_files_are_listed_by_its_id(mlflow: Mlflow) -> None:
    run = mlflow.run()
    info = mlflow.show_run(run)["info"]
    assert mlflow.ok("GET", "artifacts/list", run_id=run)["files"] == []
    put(mlflow, "candidate:1", "b", "a%20b/c", "a%20b/d/e", "b/x")
    for query in ({"run_id": run}, {"run_uuid": run}, {"run_id": run, "path": ""}, {"run_id": run, "path": "/"}):
        found = mlflow.ok("GET", "artifacts/list", **query)
        assert found["root_uri"] == info["artifact_uri"]
        assert found["files"] == [
            {"path": "a b", "is_dir": True},
            {"path": "b", "is_dir": False, "file_size": 1},
            {"path": "b", "is_dir": True},
        ]
        assert found["next_page_token"] is None
    assert paths(mlflow, run, path="a b") == paths(mlflow, run, path="/a b/") == ["a b/c", "a b/d"]
    assert paths(mlflow, run, path="a b/d") == ["a b/d/e"]
    assert paths(mlflow, run, path="a b/c") == paths(mlflow, run, path="nothing") == []


def test_a_promoted_runs_files_are_its_versions(mlflow: Mlflow) -> None:
    mlflow.model()
    run = mlflow.run()
    version = mlflow.version(run_id=run)["version"]
    put(mlflow, version, "f")
    listed = mlflow.ok("GET", "artifacts/list", run_id=run)
    assert [file["path"] for file in listed["files"]] == ["f"]
    assert listed["root_uri"] == mlflow.show_run(run)["info"]["artifact_uri"]


def test_a_large_directory_comes_page_by_page(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "MAX_CHILDREN", 2)
    run = mlflow.run()
    put(mlflow, "candidate:1", *(f"d/{name}" for name in ("a", "a/1", "b/1", "b/2", "c", "e")))
    found, token = [], ""
    for expected in (2, 2, 1):
        page = mlflow.ok("GET", "artifacts/list", run_id=run, path="d", page_token=token)
        assert len(page["files"]) == expected
        found += [(file["path"], file["is_dir"]) for file in page["files"]]
        token = page["next_page_token"]
    assert token is None
    assert found == [("d/a", False), ("d/a", True), ("d/b", True), ("d/c", False), ("d/e", False)]
    token = mlflow.ok("GET", "artifacts/list", run_id=run, path="d")["next_page_token"]
    for query in ({"path": "d", "page_token": "x"}, {"path": "", "page_token": token}):
        assert code_of(mlflow.get("artifacts/list", run_id=run, **query), 400) == INVALID


@pytest.mark.parametrize("path", ["..", "a/../b", "a\\b", "a//b", "x" * 256])
def test_a_directory_that_cannot_be_is_refused(mlflow: Mlflow, path: str) -> None:
    assert code_of(mlflow.get("artifacts/list", run_id=mlflow.run(), path=path), 400) == INVALID


def test_only_runs_of_the_project_are_listed(mlflow: Mlflow, make_project: Callable[..., dict[str, Any]]) -> None:
    foreign = Mlflow(mlflow.client, make_project()["id"]).run()
    for run in (foreign, "nothing"):
        assert code_of(mlflow.get("artifacts/list", run_id=run), 404) == MISSING
    for query in ({}, {"run_id": ""}, {"path": "a"}):
        assert mlflow.get("artifacts/list", **query).status_code in {400, 404}
    assert code_of(mlflow.get("artifacts/list"), 400) == INVALID


def recorded(mlflow: Mlflow, run: str) -> Any:
    (value,) = (tag["value"] for tag in mlflow.show_run(run)["data"]["tags"] if tag["key"] == HISTORY)
    return json.loads(value)


def test_models_of_mlflow_2_are_recorded_once_each(mlflow: Mlflow) -> None:
    run = mlflow.run()
    for path in ("m", "n", "m"):
        told = json.dumps(MODEL | {"artifact_path": path})
        assert mlflow.ok("POST", "runs/log-model", run_id=run, model_json=told) == {}
    kept = {key: MODEL[key] for key in ("run_id", "utc_time_created", "model_uuid")}
    kept["flavors"] = {"python_function": {"loader_module": "x"}}
    assert recorded(mlflow, run) == [kept | {"artifact_path": path} for path in ("m", "n")]


@pytest.mark.parametrize(
    "told",
    [
        "",
        "{",
        "[]",
        "null",
        "5",
        *(json.dumps({key: value for key, value in MODEL.items() if key != left_out}) for left_out in list(MODEL)[:3]),
        json.dumps(MODEL | {"flavors": []}),
        json.dumps(MODEL | {"flavors": {"f": "x" * 70_000}}),
        json.dumps(MODEL)[:-1] + ', "deep": ' + "[" * 300 + "]" * 300 + "}",
        "[" * 100_000,
    ],
)
def test_what_tells_of_no_model_is_refused(mlflow: Mlflow, told: str) -> None:
    run = mlflow.run()
    assert code_of(mlflow.post("runs/log-model", run_id=run, model_json=told), 400) == INVALID
    assert HISTORY not in {tag["key"] for tag in mlflow.show_run(run)["data"]["tags"]}


def test_a_model_is_recorded_of_an_active_run_alone(mlflow: Mlflow) -> None:
    run, told = mlflow.run(), json.dumps(MODEL)
    assert code_of(mlflow.post("runs/log-model", run_id="nothing", model_json=told), 404) == MISSING
    assert code_of(mlflow.post("runs/log-model", run_id=run), 400) == INVALID
    mlflow.ok("POST", "runs/delete", run_id=run)
    assert code_of(mlflow.post("runs/log-model", run_id=run, model_json=told), 400) == INVALID


@pytest.mark.parametrize("value", ["x", "{}", "5", '"x"'])
def test_a_history_that_somebody_else_wrote_is_left_alone(mlflow: Mlflow, value: str) -> None:
    run = mlflow.run(tags=[{"key": HISTORY, "value": value}])
    assert code_of(mlflow.post("runs/log-model", run_id=run, model_json=json.dumps(MODEL)), 400) == INVALID
    assert {tag["key"]: tag["value"] for tag in mlflow.show_run(run)["data"]["tags"]}[HISTORY] == value
