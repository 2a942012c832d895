"""Runs: beginning, ending, logging to them, deleting and restoring them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.routes.mlflow.conftest import Mlflow, code_of

MISSING, INVALID = "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"


def log_metric(mlflow: Mlflow, run: str, key: str, value: object, timestamp: int = 1, step: int = 0) -> None:
    body = {"run_id": run, "key": key, "value": value, "timestamp": timestamp, "step": step}
    assert mlflow.ok("POST", "runs/log-metric", **body) == {}


def tags_of(mlflow: Mlflow, run: str) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in mlflow.show_run(run)["data"]["tags"]}


def test_a_run_begins(mlflow: Mlflow) -> None:
    experiment = mlflow.experiment()
    run = mlflow.ok("POST", "runs/create", experiment_id=experiment, user_id="x", start_time=1795448441014)["run"]
    info = run["info"]
    assert re.fullmatch(r"[0-9a-f-]{36}", info["run_id"])
    assert (info["status"], info["start_time"], info["lifecycle_stage"]) == ("RUNNING", 1795448441014, "active")
    place = f"mlflow-artifacts:/projects/{mlflow.project}/candidate:1"
    assert (info["experiment_id"], info["artifact_uri"]) == (experiment, place)
    assert "end_time" not in info


def test_a_run_needs_an_experiment(mlflow: Mlflow) -> None:
    assert code_of(mlflow.post("runs/create", experiment_id="999"), 404) == MISSING
    missing = mlflow.post("runs/create")
    assert (code_of(missing, 400), missing.json()["error"]) == (INVALID, "experiment_id is missing")


def test_a_run_is_its_callers_and_found_by_whom_its_client_names(mlflow: Mlflow) -> None:
    runs = {mlflow.run(**body): body for body in ({"user_id": "ada"}, {"user_id": 5}, {"user_id": ""}, {})}
    for run, body in runs.items():
        info = mlflow.show_run(run)["info"]
        assert info["user_id"] == "1"  # whose token it is
        for user in ("1", "root", body.get("user_id", "root")):
            asked = {"experiment_ids": ["0"], "filter": f"user_id = '{user}'"}
            assert run in {each["info"]["run_id"] for each in mlflow.ok("POST", "runs/search", **asked)["runs"]}
    asked = {"experiment_ids": ["0"], "filter": "user_id = 'ada'"}
    assert len(mlflow.ok("POST", "runs/search", **asked)["runs"]) == 1
    refused = mlflow.post("runs/create", experiment_id="0", user_id="u" * 257)
    assert (code_of(refused, 400), refused.json()["message"]) == (INVALID, "user_id has more than 256 characters")


def test_experiment_zero_is_the_default_one(mlflow: Mlflow) -> None:
    run = mlflow.run("0")
    assert mlflow.ok("GET", "experiments/get", experiment_id="0")["experiment"]["name"] == "Default"
    (found,) = mlflow.ok("POST", "runs/search", experiment_ids=["0"])["runs"]
    assert found["info"]["run_id"] == run


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"run_name": "given"}, "given"),
        ({"tags": [{"key": "mlflow.runName", "value": "by tag"}]}, "by tag"),
        ({"run_name": "given", "tags": [{"key": "mlflow.runName", "value": "by tag"}]}, "given"),
        ({}, r"\w+-\w+-\d+"),
    ],
)
def test_a_run_has_a_name(mlflow: Mlflow, body: dict[str, Any], name: str) -> None:
    run = mlflow.run(**body)
    shown = mlflow.show_run(run)["info"]["run_name"]
    assert re.fullmatch(name, shown)
    assert tags_of(mlflow, run)["mlflow.runName"] == shown


def test_an_unknown_run_does_not_exist(mlflow: Mlflow, make_project: Callable[..., dict[str, Any]]) -> None:
    assert code_of(mlflow.get("runs/get", run_id="nonsense"), 404) == MISSING
    assert code_of(mlflow.get("runs/get"), 400) == INVALID
    foreign = Mlflow(mlflow.client, make_project()["id"]).run()
    assert code_of(mlflow.get("runs/get", run_id=foreign), 404) == MISSING
    assert code_of(mlflow.post("runs/log-parameter", run_id=foreign, key="k", value="v"), 404) == MISSING


def test_a_run_ends(mlflow: Mlflow) -> None:
    run = mlflow.run()
    ended = mlflow.ok("POST", "runs/update", run_id=run, status="FINISHED", end_time=5, run_name="renamed")
    info = ended["run_info"]
    assert (info["run_id"], info["status"], info["end_time"], info["run_name"]) == (run, "FINISHED", 5, "renamed")
    assert tags_of(mlflow, run)["mlflow.runName"] == "renamed"
    resumed = mlflow.ok("POST", "runs/update", run_id=run, status="RUNNING")["run_info"]
    assert (resumed["status"], resumed["run_name"]) == ("RUNNING", "renamed")


@pytest.mark.parametrize("change", [{"status": "YOLO"}, {"end_time": "s"}, {"run_name": "n" * 256}])
def test_a_run_takes_no_nonsense(mlflow: Mlflow, change: dict[str, str]) -> None:
    assert code_of(mlflow.post("runs/update", run_id=mlflow.run(), **change), 400) == INVALID


@pytest.mark.parametrize("missing", ["key", "value", "timestamp", "run_id"])
def test_a_metric_needs_all_its_parts(mlflow: Mlflow, missing: str) -> None:
    body = {"run_id": mlflow.run(), "key": "m", "value": 1, "timestamp": 1}
    del body[missing]
    answer = mlflow.post("runs/log-metric", **body)
    assert (code_of(answer, 400), answer.json()["error"]) == (INVALID, f"{missing} is missing")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_know_come_back_as_texts(mlflow: Mlflow, value: str) -> None:
    run = mlflow.run()
    log_metric(mlflow, run, "m", value)
    (point,) = mlflow.show_run(run)["data"]["metrics"]
    assert point == {"key": "m", "value": value, "timestamp": 1, "step": 0}
    (found,) = mlflow.ok("POST", "runs/search", experiment_ids=["0"])["runs"]
    assert found["data"]["metrics"] == [point]


def test_a_run_shows_every_point_the_latest_last(mlflow: Mlflow) -> None:
    run = mlflow.run()
    for step, value in ((2, 0.2), (1, 0.1), (3, 0.3)):
        log_metric(mlflow, run, "m", value, step=step)
    points = mlflow.show_run(run)["data"]["metrics"]
    assert [(point["step"], point["value"]) for point in points] == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_of_points_at_one_time_the_greatest_comes_last(mlflow: Mlflow) -> None:
    run = mlflow.run()
    points = [{"key": "m", "value": value, "timestamp": 1, "step": 0} for value in (3.0, 2.0, "NaN")]
    mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=points)
    shown = mlflow.show_run(run)["data"]["metrics"]
    assert [point["value"] for point in shown] == ["NaN", 2.0, 3.0]
    (found,) = mlflow.ok("POST", "runs/search", experiment_ids=["0"])["runs"]
    assert [point["value"] for point in found["data"]["metrics"]] == [3.0]


def test_a_run_with_very_many_points_shows_the_latest(mlflow: Mlflow) -> None:
    run = mlflow.run()
    for start in (0, 600):
        points = [{"key": "m", "value": s, "timestamp": 1, "step": s} for s in range(start, start + 600)]
        mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=points)
    assert [point["value"] for point in mlflow.show_run(run)["data"]["metrics"]] == [1199]


@pytest.mark.parametrize(
    ("points", "latest"),
    [
        ([(1, 5, 1.0), (2, 1, 2.0)], 2.0),  # the higher step
        ([(1, 5, 1.0), (1, 6, 0.5)], 0.5),  # then the later time
        ([(1, 5, 1.0), (1, 5, 0.5)], 1.0),  # then the greater value
        ([(1, 5, "NaN"), (1, 5, 0.5)], 0.5),
        ([(1, 5, 0.5), (2, 5, "NaN")], "NaN"),
    ],
)
@pytest.mark.parametrize("batch", [False, True])
def test_the_latest_point_of_a_metric(
    mlflow: Mlflow, points: list[tuple[int, int, object]], latest: object, batch: bool
) -> None:
    run = mlflow.run()
    metrics = [{"key": "m", "step": step, "timestamp": at, "value": value} for step, at, value in points]
    for chunk in [metrics] if batch else [[metric] for metric in metrics]:
        mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=chunk)
    (found,) = mlflow.ok("POST", "runs/search", experiment_ids=["0"])["runs"]
    assert found["data"]["metrics"][0]["value"] == latest


def test_a_parameter_is_written_once(mlflow: Mlflow) -> None:
    run = mlflow.run()
    for _ in range(2):
        assert mlflow.ok("POST", "runs/log-parameter", run_id=run, key="p", value="1") == {}
    other = mlflow.post("runs/log-parameter", run_id=run, key="p", value="2")
    assert code_of(other, 400) == INVALID
    assert "another value" in other.json()["message"]
    assert mlflow.show_run(run)["data"]["params"] == [{"key": "p", "value": "1"}]


def test_a_tag_is_set_again_and_deleted(mlflow: Mlflow) -> None:
    run = mlflow.run()
    for value in ("1", "2"):
        assert mlflow.ok("POST", "runs/set-tag", run_id=run, key="k", value=value) == {}
    assert tags_of(mlflow, run)["k"] == "2"
    assert mlflow.ok("POST", "runs/delete-tag", run_id=run, key="k") == {}
    assert "k" not in tags_of(mlflow, run)
    assert code_of(mlflow.post("runs/delete-tag", run_id=run, key="k"), 404) == MISSING


def test_setting_the_name_tag_renames_the_run(mlflow: Mlflow) -> None:
    run = mlflow.run()
    mlflow.ok("POST", "runs/set-tag", run_id=run, key="mlflow.runName", value="new")
    assert mlflow.show_run(run)["info"]["run_name"] == "new"


def test_gitlabs_own_tags_are_stored_as_they_are(mlflow: Mlflow) -> None:
    run = mlflow.run()
    mlflow.ok("POST", "runs/set-tag", run_id=run, key="gitlab.CI_JOB_ID", value="123")
    assert tags_of(mlflow, run)["gitlab.CI_JOB_ID"] == "123"


def test_a_batch_is_kept(mlflow: Mlflow) -> None:
    run = mlflow.run()
    extra = {"run_id": "ignored", "dataset_name": "d", "dataset_digest": "x"}
    batch = {
        "metrics": [{"key": "m", "value": 0.5, "timestamp": 1, "step": 1} | extra],
        "params": [{"key": "p", "value": "1"}, {"key": "p", "value": "1"}],
        "tags": [{"key": "t", "value": "1"}, {"key": "t", "value": "2"}],
    }
    assert mlflow.ok("POST", "runs/log-batch", run_id=run, **batch) == {}
    assert mlflow.ok("POST", "runs/log-batch", run_id=run, params=batch["params"], tags=batch["tags"]) == {}
    data = mlflow.show_run(run)["data"]
    assert data["params"] == [{"key": "p", "value": "1"}]
    assert tags_of(mlflow, run)["t"] == "2"
    assert len(data["metrics"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"metrics": [{"value": 1, "timestamp": 1}]},
        {"metrics": [{"key": "m" * 251, "value": 1, "timestamp": 1}]},
        {"metrics": [{"key": "m", "value": 1, "timestamp": 1}] * 1001},
        {"params": [{"key": f"p{i}", "value": "v"} for i in range(101)]},
        {"params": [{"key": "p", "value": "1"}, {"key": "p", "value": "2"}]},
        {"params": [{"key": "p", "value": "v" * 65_537}]},
        {"params": [{"key": "", "value": "v"}]},
        {"params": [{"value": "v"}]},
        {"tags": [{"key": f"t{i}", "value": "v"} for i in range(101)]},
        {"tags": [{"key": "t", "value": "v" * 65_537}]},
        {"tags": [{"key": "t" * 251, "value": "v"}]},
    ],
)
def test_a_batch_with_one_fault_leaves_nothing(mlflow: Mlflow, wrong: dict[str, Any]) -> None:
    run = mlflow.run()
    before = mlflow.show_run(run)
    good: dict[str, Any] = {
        "metrics": [{"key": "ok", "value": 1, "timestamp": 1}],
        "params": [{"key": "ok", "value": "1"}],
        "tags": [{"key": "ok", "value": "1"}],
    }
    assert code_of(mlflow.post("runs/log-batch", run_id=run, **(good | wrong)), 400) == INVALID
    assert mlflow.show_run(run) == before


def test_values_may_be_as_long_as_mlflow_lets_them(mlflow: Mlflow) -> None:
    run = mlflow.run()
    params, tags = [{"key": "p", "value": "v" * 65_536}], [{"key": "t", "value": "v" * 65_536}]
    mlflow.ok("POST", "runs/log-batch", run_id=run, params=params, tags=tags)
    assert mlflow.show_run(run)["data"]["params"] == params


def test_a_history_comes_by_step_page_by_page(mlflow: Mlflow) -> None:
    run = mlflow.run()
    for step in (3, 1, 5, 2, 4):
        log_metric(mlflow, run, "m", step / 10, step=step)

    def page(**query: object) -> tuple[list[int], str | None]:
        found = mlflow.ok("GET", "metrics/get-history", run_id=run, metric_key="m", **query)
        return [point["step"] for point in found["metrics"]], found["next_page_token"]

    assert page(max_results=25_000) == ([1, 2, 3, 4, 5], None)
    first, token = page(max_results=2)
    second, token = page(max_results=2, page_token=token)
    assert (first, second, page(max_results=2, page_token=token)) == ([1, 2], [3, 4], ([5], None))
    assert mlflow.ok("GET", "metrics/get-history", run_id=run, metric_key="other")["metrics"] == []
    assert code_of(mlflow.get("metrics/get-history", run_id="x", metric_key="m"), 404) == MISSING
    assert code_of(mlflow.get("metrics/get-history", run_id=run), 400) == INVALID


def test_a_deleted_run_is_kept_for_its_restoration(mlflow: Mlflow) -> None:
    run = mlflow.run()
    assert mlflow.ok("POST", "runs/delete", run_id=run) == {}
    assert mlflow.show_run(run)["info"]["lifecycle_stage"] == "deleted"
    assert code_of(mlflow.post("runs/log-parameter", run_id=run, key="k", value="v"), 400) == INVALID
    assert mlflow.ok("POST", "runs/restore", run_id=run) == {}
    mlflow.ok("POST", "runs/log-parameter", run_id=run, key="k", value="v")
    assert code_of(mlflow.post("runs/delete", run_id="x"), 404) == MISSING


def test_a_versions_run_is_not_deleted(mlflow: Mlflow) -> None:
    mlflow.model()
    answer = mlflow.post("runs/delete", run_id=mlflow.version()["run_id"])
    assert answer.status_code == 400
    assert answer.json()["message"] == "Cannot delete a candidate associated to a model version"


def test_datasets_are_shown_in_the_order_in_which_they_were_logged(mlflow: Mlflow) -> None:
    run, other = mlflow.run(), mlflow.run()

    def log(run_id: str, *names: str) -> None:
        described = [{"name": name[0], "digest": name[1], "source_type": "local", "source": "{}"} for name in names]
        datasets = [{"dataset": each, "tags": []} for each in described]
        assert mlflow.ok("POST", "runs/log-inputs", run_id=run_id, datasets=datasets) == {}

    def shown(run: dict[str, Any]) -> list[str]:
        return [each["dataset"]["name"] + each["dataset"]["digest"] for each in run["inputs"]["dataset_inputs"]]

    many = [f"{name}{digest}" for name in "zya" for digest in "951"]
    log(run, "z2", "a9", "m1")
    log(other, *many, *many)
    log(run, "b0", "z2", "z1")
    assert shown(mlflow.show_run(run)) == ["z2", "a9", "m1", "b0", "z1"]
    found = mlflow.ok("POST", "runs/search", experiment_ids=["0"])["runs"]
    assert {each["info"]["run_id"]: shown(each) for each in found} == {run: ["z2", "a9", "m1", "b0", "z1"], other: many}


def test_what_a_run_takes_in_and_brings_forth_is_shown(mlflow: Mlflow) -> None:
    run, made, used = mlflow.run(), mlflow.logged_model(), mlflow.logged_model(name="used")
    dataset = {"name": "d", "digest": "1", "source_type": "local", "source": "{}", "schema": "{}"}
    tags = [{"key": "mlflow.data.context", "value": "train"}]
    inputs = {"datasets": [{"dataset": dataset, "tags": tags}], "models": [{"model_id": used["info"]["model_id"]}]}
    assert mlflow.ok("POST", "runs/log-inputs", run_id=run, **inputs) == {}
    for more in (inputs, {"datasets": [{"dataset": dataset | {"source": "other"}, "tags": []}]}):
        assert mlflow.ok("POST", "runs/log-inputs", run_id=run, **more) == {}  # the first stays
    outputs = [{"model_id": made["info"]["model_id"], "step": 3}]
    assert mlflow.ok("POST", "runs/outputs", run_id=run, models=outputs) == {}
    shown = mlflow.show_run(run)
    assert shown["inputs"] == {
        "dataset_inputs": [{"dataset": dataset, "tags": tags}],
        "model_inputs": [{"model_id": used["info"]["model_id"]}],
    }
    assert shown["outputs"] == {"model_outputs": outputs}
    unknown = mlflow.post("runs/outputs", run_id=run, models=[{"model_id": "m-0", "step": 0}])
    assert code_of(unknown, 404) == MISSING
