"""Logged models: announcing, completing, finding, tagging and deleting them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mlflow.conftest import Mlflow, code_of

MISSING, INVALID = "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"


def test_a_logged_model_is_announced_filled_and_completed(mlflow: Mlflow) -> None:
    run = mlflow.run(mlflow.experiment())
    body = {"params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "2"}], "model_type": "sklearn"}
    made = mlflow.logged_model(experiment_id="1", source_run_id=run, **body)
    info, model_id = made["info"], made["info"]["model_id"]
    assert (info["status"], info["source_run_id"], info["experiment_id"]) == ("LOGGED_MODEL_PENDING", run, "1")
    assert info["artifact_uri"] == f"mlflow-artifacts:/models/{model_id}"
    assert (info["tags"], made["data"]["params"]) == (body["tags"], body["params"])
    assert mlflow.artifact("PUT", f"models/{model_id}/a/MLmodel", content=b"x").status_code == 200
    ready = mlflow.ok("PATCH", f"logged-models/{model_id}", model_id=model_id, status="LOGGED_MODEL_READY")["model"]
    assert ready["info"]["status"] == "LOGGED_MODEL_READY"
    assert mlflow.ok("GET", f"logged-models/{model_id}")["model"] == ready
    listed = mlflow.ok("GET", f"logged-models/{model_id}/artifacts/directories")
    assert listed == {"files": [{"path": "a", "is_dir": True}]}
    inside = mlflow.ok("GET", f"logged-models/{model_id}/artifacts/directories", artifact_directory_path="a")
    assert inside == {"files": [{"path": "MLmodel", "is_dir": False, "file_size": 1}]}


def test_a_logged_model_has_a_name_even_without_one(mlflow: Mlflow) -> None:
    assert mlflow.ok("POST", "logged-models", experiment_id="0")["model"]["info"]["name"].startswith("model-")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"experiment_id": "999"}, 404),
        ({"experiment_id": "0", "source_run_id": "x"}, 404),
        ({"experiment_id": "0", "params": [{"key": "p", "value": "v" * 65_537}]}, 400),
        ({"experiment_id": "0", "tags": [{"key": "", "value": "v"}]}, 400),
        ({"experiment_id": "0", "name": "n" * 501}, 400),
        ({}, 400),
    ],
)
def test_a_logged_model_against_the_rules_is_refused(mlflow: Mlflow, body: dict[str, Any], status: int) -> None:
    assert code_of(mlflow.post("logged-models", **body), status) == (MISSING if status == 404 else INVALID)


def test_an_unknown_logged_model_does_not_exist(mlflow: Mlflow) -> None:
    answers = [
        mlflow.get("logged-models/m-0"),
        mlflow.patch("logged-models/m-0", status="LOGGED_MODEL_READY"),
        mlflow.delete("logged-models/m-0"),
        mlflow.patch("logged-models/m-0/tags", tags=[{"key": "k", "value": "v"}]),
        mlflow.delete("logged-models/m-0/tags/k"),
        mlflow.post("logged-models/m-0/params", params=[]),
        mlflow.get("logged-models/m-0/artifacts/directories"),
        mlflow.artifact("PUT", "models/m-0/f", content=b"x"),
        mlflow.artifact("GET", "models/m-0/f"),
        mlflow.artifact("DELETE", "models/m-0/f"),
        mlflow.post("runs/log-metric", run_id=mlflow.run(), key="k", value=1, timestamp=1, model_id="m-0"),
    ]
    assert {code_of(answer, 404) for answer in answers} == {MISSING}


def test_tags_and_params_of_a_logged_model(mlflow: Mlflow) -> None:
    model_id = mlflow.logged_model()["info"]["model_id"]
    for value in ("1", "2"):
        mlflow.ok("PATCH", f"logged-models/{model_id}/tags", tags=[{"key": "a/b c", "value": value}])
    shown = mlflow.ok("GET", f"logged-models/{model_id}")["model"]
    assert shown["info"]["tags"] == [{"key": "a/b c", "value": "2"}]
    assert mlflow.ok("DELETE", f"logged-models/{model_id}/tags/a%2Fb%20c") == {}
    assert code_of(mlflow.delete(f"logged-models/{model_id}/tags/a%2Fb%20c"), 404) == MISSING
    for _ in range(2):
        assert mlflow.ok("POST", f"logged-models/{model_id}/params", params=[{"key": "p", "value": "1"}]) == {}
    other = mlflow.post(f"logged-models/{model_id}/params", params=[{"key": "p", "value": "2"}])
    assert code_of(other, 400) == INVALID
    assert mlflow.ok("GET", f"logged-models/{model_id}")["model"]["data"]["params"] == [{"key": "p", "value": "1"}]


def test_metrics_that_were_measured_of_a_logged_model_are_its_own(mlflow: Mlflow) -> None:
    run, model_id = mlflow.run(), mlflow.logged_model()["info"]["model_id"]
    point = {"key": "acc", "value": 0.9, "timestamp": 5, "step": 1}
    measured = {"model_id": model_id, "dataset_name": "d", "dataset_digest": "1"}
    mlflow.ok("POST", "runs/log-metric", run_id=run, **point, **measured)
    shown = mlflow.ok("GET", f"logged-models/{model_id}")["model"]["data"]["metrics"]
    assert shown == [point | measured | {"run_id": run}]


def test_a_deleted_logged_model_is_gone_with_its_files(mlflow: Mlflow) -> None:
    model_id = mlflow.logged_model()["info"]["model_id"]
    mlflow.artifact("PUT", f"models/{model_id}/f", content=b"x")
    assert mlflow.ok("DELETE", f"logged-models/{model_id}") == {}
    assert mlflow.get(f"logged-models/{model_id}").status_code == 404
    assert mlflow.client.get(f"/projects/{mlflow.project}/packages").json() == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "ba"),
        ({"filter": "name = 'a'"}, "a"),
        ({"filter": "name = 'nothing'"}, ""),
        ({"filter": "params.p = '1'"}, "a"),
        ({"filter": "tags.t LIKE '2%'"}, "b"),
        ({"filter": "metrics.acc > 0.5"}, "a"),
        ({"filter": "params.p IN ('1', '2')"}, "a"),
        ({"filter": "tags.t NOT IN ('1', '2')"}, "b"),
        ({"filter": "model_type = 'x' AND status = 'LOGGED_MODEL_PENDING'"}, "b"),
        ({"filter": "creation_timestamp_ms > 0"}, "ba"),
        ({"order_by": [{"field_name": "name", "ascending": True}]}, "ab"),
        ({"order_by": [{"field_name": "creation_timestamp", "ascending": False}]}, "ba"),
        ({"order_by": ["name ASC"]}, "ab"),
        ({"order_by": [{"field_name": "metrics.acc"}]}, "ab"),  # what has no value comes last, either way
        ({"order_by": [{"field_name": "metrics.acc", "ascending": False}]}, "ab"),
        ({"order_by": ["metrics.acc DESC", "name DESC"]}, "ab"),
        ({"order_by": ["metrics.other DESC", "name DESC"]}, "ba"),
        ({"datasets": [{"dataset_name": "d"}]}, "a"),
        ({"datasets": [{"dataset_name": "d", "dataset_digest": "1"}]}, "a"),
        ({"datasets": [{"dataset_name": "d", "dataset_digest": "2"}]}, ""),
        ({"max_results": 1}, "b"),
    ],
)
def test_logged_models_are_searched(mlflow: Mlflow, query: dict[str, Any], expected: str) -> None:
    experiment = mlflow.experiment()
    first = mlflow.logged_model(experiment_id=experiment, name="a", params=[{"key": "p", "value": "1"}])
    tags = [{"key": "t", "value": "22"}]
    mlflow.logged_model(experiment_id=experiment, name="b", tags=tags, model_type="x")
    measured = {"model_id": first["info"]["model_id"], "dataset_name": "d", "dataset_digest": "1"}
    mlflow.ok("POST", "runs/log-metric", run_id=mlflow.run(), key="acc", value=0.9, timestamp=1, **measured)
    found = mlflow.ok("POST", "logged-models/search", experiment_ids=[experiment], **query)
    assert "".join(model["info"]["name"] for model in found["models"]) == expected
    assert (found["next_page_token"] is not None) is (query == {"max_results": 1})


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"field_name": "metrics.acc"}, "cabd"),  # the latest value counts: 0.1, 0.5, 0.9; NaN is none
        ({"field_name": "metrics.acc", "ascending": False}, "bacd"),
        ({"field_name": "metrics.acc", "dataset_name": "train"}, "abdc"),
        ({"field_name": "metrics.acc", "dataset_name": "train", "ascending": False}, "badc"),
        ({"field_name": "metrics.acc", "dataset_name": "train", "dataset_digest": "2"}, "bdca"),
        ({"field_name": "metrics.acc", "dataset_name": "elsewhere"}, "dcba"),
    ],
)
def test_logged_models_are_sorted_by_their_latest_values(mlflow: Mlflow, order: dict[str, Any], expected: str) -> None:
    experiment, run = mlflow.experiment(), mlflow.run()
    values: dict[str, list[tuple[object, int, str, str]]] = {  # value, step, and the dataset that it was measured on
        "a": [(0.7, 1, "train", "1"), (0.5, 2, "train", "1")],
        "b": [(0.2, 1, "train", "1"), (0.9, 3, "train", "2")],
        "c": [(0.8, 1, "test", "1"), (0.1, 2, "test", "1")],
        "d": [("NaN", 1, "train", "1")],
    }
    for name, points in values.items():
        model = mlflow.logged_model(experiment_id=experiment, name=name)["info"]["model_id"]
        for value, step, dataset, digest in points:
            measured = {"model_id": model, "dataset_name": dataset, "dataset_digest": digest}
            mlflow.ok("POST", "runs/log-metric", run_id=run, key="acc", value=value, timestamp=1, step=step, **measured)
    found, token = "", ""
    while token is not None:
        asked = {"experiment_ids": [experiment], "order_by": [order], "max_results": 1, "page_token": token}
        page = mlflow.ok("POST", "logged-models/search", **asked)
        found += "".join(model["info"]["name"] for model in page["models"])
        token = page["next_page_token"]
    assert found == expected


def test_logged_models_are_sorted_by_nothing_else(mlflow: Mlflow) -> None:
    for field in ("params.p", "tags.t", "nothing"):
        asked = {"experiment_ids": ["0"], "order_by": [{"field_name": field}]}
        answer = mlflow.post("logged-models/search", **asked)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
