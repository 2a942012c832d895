"""Logged models: announcing, completing, finding, tagging and deleting them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from modelyard.registry.engine import Database
from modelyard.services.models.logged_models import note_version
from tests.databases import execute
from tests.live import LiveServer
from tests.routes.mlflow.conftest import Mlflow, code_of

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


@pytest.mark.parametrize("run", ["nope", "0" * 32, "a/b ü", "r" * 256, "", None, "deleted"])
def test_a_logged_model_may_come_from_a_run_that_is_not_here(mlflow: Mlflow, run: str | None) -> None:
    if run == "deleted":
        run = mlflow.run()
        mlflow.ok("POST", "runs/delete", run_id=run)
    made = mlflow.logged_model(source_run_id=run)["info"]
    assert made["source_run_id"] == (run or "")
    found = mlflow.ok(
        "POST", "logged-models/search", experiment_ids=[made["experiment_id"]], filter=f"source_run_id = '{run or ''}'"
    )
    assert [model["info"]["model_id"] for model in found["models"]] == [made["model_id"]]
    mlflow.model()
    version = mlflow.version(source=f"models:/{made['model_id']}")
    assert version["run_id"] == run or not run


def versions_of(mlflow: Mlflow, model_id: str) -> Any:
    """What the tag of a logged model says of its versions."""
    tags = mlflow.ok("GET", f"logged-models/{model_id}")["model"]["info"]["tags"]
    return next((tag["value"] for tag in tags if tag["key"] == "mlflow.modelVersions"), None)


def test_the_server_tells_a_logged_models_versions_in_its_tag(mlflow: Mlflow) -> None:
    model_id, source = (info := mlflow.logged_model()["info"])["model_id"], info["artifact_uri"]
    assert versions_of(mlflow, model_id) is None
    mlflow.model("m")
    mlflow.model('ü "b"')
    made = [
        mlflow.version("m", source=f"models:/{model_id}", model_id=model_id),
        mlflow.version("m", source=f"models:/{model_id}"),
        mlflow.version('ü "b"', source=source),
        mlflow.version("m", source="s3://elsewhere", model_id=model_id),
    ]
    made.append(mlflow.version('ü "b"', source=f"models:/m/{made[0]['version']}"))  # a copy is of that model as well
    assert {each["model_id"] for each in made} == {model_id}
    expected = [{"name": each["name"], "version": int(each["version"])} for each in made]
    assert json.loads(versions_of(mlflow, model_id)) == expected
    other = mlflow.version("m", run_id=mlflow.run())
    assert versions_of(mlflow, model_id) == json.dumps(expected)
    assert "model_id" not in other


def test_another_projects_logged_model_is_not_told_of_a_version(
    mlflow: Mlflow, server: LiveServer, make_project: Callable[..., dict[str, Any]]
) -> None:
    info = mlflow.logged_model()["info"]
    here, there = int(mlflow.project), int(make_project()["id"])
    query = f"SELECT id FROM logged_models WHERE eid = '{info['model_id']}'"
    ((internal,),) = execute(server.settings.data_dir, query)
    database: Database = server.app.state.database
    database.write_now(lambda registry: note_version(registry, there, internal, "m", 7))
    assert versions_of(mlflow, info["model_id"]) is None
    database.write_now(lambda registry: note_version(registry, here, internal, "m", 8))
    assert json.loads(versions_of(mlflow, info["model_id"])) == [{"name": "m", "version": 8}]


@pytest.mark.parametrize("value", ["not JSON", '{"a": 1}', "[" * 60_000, "[" + '"x", ' * 13_104 + '"x"]', ""])
def test_a_tag_that_says_something_else_is_left_alone(mlflow: Mlflow, value: str) -> None:
    model_id = mlflow.logged_model(tags=[{"key": "mlflow.modelVersions", "value": value}])["info"]["model_id"]
    mlflow.model()
    assert mlflow.version(source=f"models:/{model_id}")["model_id"] == model_id
    assert versions_of(mlflow, model_id) == value


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"experiment_id": "999"}, 404),
        ({"experiment_id": "0", "source_run_id": "r" * 257}, 400),
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
    ("text", "expected"),
    [
        ("metrics.acc != 0.5", "bc"),
        ("metrics.acc != 0", "abc"),
        ("metrics.acc = 0", ""),  # not what stands for NaN in the database
        ("metrics.acc >= -5", "ac"),
        ("metrics.acc < 5", "a"),
        ("metrics.nothing != 1", ""),
        ("params.p != 'x'", "b"),
        ("params.p IS NULL", "c"),
        ("tags.t NOT IN ('x')", ""),
    ],
)
def test_nan_and_what_is_not_there_are_told_apart(mlflow: Mlflow, text: str, expected: str) -> None:
    run = mlflow.run()
    for name, value in (("a", 0.5), ("b", "NaN"), ("c", "Infinity")):
        params = [{"key": "p", "value": {"a": "x", "b": "y"}[name]}] if name != "c" else []
        model = mlflow.logged_model(name=name, params=params)["info"]["model_id"]
        mlflow.ok("POST", "runs/log-metric", run_id=run, key="acc", value=value, timestamp=1, model_id=model)
    asked = {"experiment_ids": ["0"], "filter": text, "order_by": ["name ASC"]}
    found = mlflow.ok("POST", "logged-models/search", **asked)["models"]
    assert "".join(model["info"]["name"] for model in found) == expected


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


KEYS = [f"metrics.m{number}" for number in range(21)]


@pytest.mark.parametrize(
    "order",
    [
        KEYS,
        [", ".join(KEYS)],
        [", ".join(KEYS[:11]), ", ".join(KEYS[11:])],
        [{"field_name": ", ".join(KEYS[:11])}, {"field_name": ", ".join(KEYS[11:]), "ascending": False}],
        [", ".join(KEYS[:20]), {"field_name": "name"}],
        [", ".join(f"metrics.m{text}_{key}" for key in range(20)) for text in range(20)],
        [*["metrics.m"], "name", "metrics.m DESC"],
        [{"field_name": "metrics.m", "dataset_name": "d"}, {"field_name": "metric.m", "dataset_name": "d"}],
    ],
)
def test_an_order_has_no_more_keys_in_many_texts_than_in_one(mlflow: Mlflow, order: list[object]) -> None:
    answer = mlflow.post("logged-models/search", experiment_ids=["0"], order_by=order)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_twenty_keys_lead_from_page_to_page(mlflow: Mlflow) -> None:
    run = mlflow.run()
    for number in range(6):
        model = mlflow.logged_model(name=f"l{number}")["info"]["model_id"]
        for key in range(number % 3):
            point = {"key": f"m{key}", "value": number % 2, "timestamp": 1, "model_id": model}
            mlflow.ok("POST", "runs/log-metric", run_id=run, **point)
    measured = [{"field_name": "metrics.m0", "dataset_name": "d"}, {"field_name": "metrics.m0", "dataset_name": "e"}]
    asked = {"experiment_ids": ["0"], "order_by": [", ".join(f"{key} DESC" for key in KEYS[:18]), *measured]}
    whole = [model["info"]["name"] for model in mlflow.ok("POST", "logged-models/search", **asked)["models"]]
    assert whole == ["l5", "l1", "l2", "l4", "l3", "l0"]
    found, token = [], ""
    while token is not None:
        page = mlflow.ok("POST", "logged-models/search", **asked, max_results=1, page_token=token)
        found += [model["info"]["name"] for model in page["models"]]
        token = page["next_page_token"]
    assert found == whole


def test_the_last_point_of_a_metric_on_each_dataset_is_shown(mlflow: Mlflow) -> None:
    """A model's history may be long; MLflow's client has the last of each, and the histories of runs the rest."""
    run, model = mlflow.run("0"), mlflow.logged_model()["info"]["model_id"]
    on: dict[str, Any] = {"dataset_name": "d", "dataset_digest": "1"}

    def point(key: str, value: float | str, step: int, timestamp: int = 1, **dataset: Any) -> dict[str, Any]:
        return {"key": key, "value": value, "step": step, "timestamp": timestamp, "model_id": model, **dataset}

    points = [point("m", number / 2, number) for number in range(300)]
    mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=points)
    others = [
        *(point("m", 1.0, 3, **on), point("m", 2.0, 2, **on), point("m", 5.0, 0, dataset_name="d", dataset_digest="2")),
        *(point("late", 1.0, 1, 7), point("late", 2.0, 1, 6), point("same", 1.0, 1), point("same", 3.0, 1)),
        *(point("same", "NaN", 1), point("nan", "NaN", 9), point("nan", 1.0, 8)),
    ]
    mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=others)
    values: dict[tuple[str, str | None], object] = {("m", None): 149.5, ("m", "1"): 1.0, ("m", "2"): 5.0}
    values |= {("late", None): 1.0, ("same", None): 3.0, ("nan", None): "NaN"}
    finalized = mlflow.patch(f"logged-models/{model}", status="LOGGED_MODEL_READY").json()["model"]
    for shown in (
        mlflow.ok("GET", f"logged-models/{model}")["model"],
        finalized,
        mlflow.patch(f"logged-models/{model}/tags", tags=[]).json()["model"],
        *mlflow.ok("POST", "logged-models/search", experiment_ids=["0"])["models"],
    ):
        metrics = shown["data"]["metrics"]
        found = {(each["key"], each.get("dataset_digest")): each["value"] for each in metrics}
        assert len(metrics) == len(found)
        assert found == values
        assert {each["run_id"] for each in metrics} == {run}
    assert finalized["info"]["status"] == "LOGGED_MODEL_READY"
    assert len(mlflow.ok("GET", "metrics/get-history", run_id=run, metric_key="m")["metrics"]) == 303


def test_a_tag_whose_name_is_no_text_is_refused(mlflow: Mlflow) -> None:
    model = mlflow.logged_model()["info"]["model_id"]
    assert mlflow.send("DELETE", f"logged-models/{model}/tags/%FF").status_code == 400
