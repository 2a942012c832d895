"""Requests that come twice, as clients send them when an answer was lost: what is there stays there once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import insert, select

from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate, CandidateMetric, LoggedModel
from tests.beginnings import Beginnings
from tests.live import LiveServer
from tests.routes.mlflow.conftest import Mlflow
from tests.routes.mlflow.endpoints import ENDPOINTS, Endpoint
from tests.routes.mlflow.world import filled

VALUES = [0.5, 0, -0.0, 1e308, "NaN", "Infinity", "-Infinity"]
POINT = {"key": "m", "value": 0.5, "timestamp": 5, "step": 1}

# What a second request gets where the first one left nothing to do: as MLflow's own server answers it.
REFUSED = {
    "POST experiments/create": "RESOURCE_ALREADY_EXISTS",
    "POST experiments/delete": "RESOURCE_DOES_NOT_EXIST",
    "POST experiments/restore": "RESOURCE_DOES_NOT_EXIST",
    "POST experiments/delete-experiment-tag": "RESOURCE_DOES_NOT_EXIST",
    "POST runs/delete-tag": "RESOURCE_DOES_NOT_EXIST",
    "POST registered-models/create": "RESOURCE_ALREADY_EXISTS",
    "POST registered-models/rename": "RESOURCE_DOES_NOT_EXIST",
    "DELETE registered-models/delete": "RESOURCE_DOES_NOT_EXIST",
    "DELETE model-versions/delete": "RESOURCE_DOES_NOT_EXIST",
}
# What may be meant twice, since nothing tells the second from a new one; MLflow's own server makes two as well.
MAKING = {"POST runs/create", "POST model-versions/create", "POST logged-models"}
READS = ("search", "search-datasets", "latest-versions")
WRITES = [each for each in ENDPOINTS if each.method != "GET" and not each.path.endswith(READS)]


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@pytest.mark.parametrize("endpoint", WRITES, ids=name_of)
def test_a_repeated_request_changes_nothing_more(mlflow: Mlflow, beginnings: Beginnings, endpoint: Endpoint) -> None:
    world = filled(mlflow, beginnings)
    first = world.send(endpoint, endpoint.body)
    assert first.status_code == 200, first.text
    after = world.look()
    second = world.send(endpoint, endpoint.body)
    if name_of(endpoint) in REFUSED:
        assert second.json()["error_code"] == REFUSED[name_of(endpoint)]
    else:
        assert second.status_code == 200, second.text
    assert (world.look() == after) is (name_of(endpoint) not in MAKING)


def history(mlflow: Mlflow, run: str, key: str = "m") -> list[tuple[int, int, Any]]:
    points = mlflow.ok("GET", "metrics/get-history", run_id=run, metric_key=key)["metrics"]
    return [(point["step"], point["timestamp"], point["value"]) for point in points]


def shown(mlflow: Mlflow, run: str) -> list[Any]:
    return [point["value"] for point in mlflow.show_run(run)["data"]["metrics"]]


def model_points(mlflow: Mlflow, model_id: str) -> list[dict[str, Any]]:
    metrics = mlflow.ok("GET", f"logged-models/{model_id}")["model"]["data"]["metrics"]
    return [{key: value for key, value in point.items() if key not in {"model_id", "run_id"}} for point in metrics]


@pytest.mark.parametrize("value", VALUES)
def test_the_same_point_again_is_one(mlflow: Mlflow, value: object) -> None:
    run, point = mlflow.run(), POINT | {"value": value}
    for _ in range(2):
        mlflow.ok("POST", "runs/log-metric", run_id=run, **point)
        mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=[point, point])
    assert history(mlflow, run) == [(1, 5, value)]
    assert shown(mlflow, run) == [value]


def test_points_that_differ_in_anything_are_kept(mlflow: Mlflow) -> None:
    run = mlflow.run()
    points = [
        POINT,
        POINT | {"value": 0.25},
        POINT | {"value": "NaN"},
        POINT | {"value": 0},
        POINT | {"timestamp": 4},
        POINT | {"step": 0},
        POINT | {"step": 0, "timestamp": 9},
        POINT | {"key": "other"},
    ]
    for _ in range(2):
        for point in points:  # most of them older than the one before
            mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=[point])
        mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=points)
    assert history(mlflow, run) == [
        (0, 5, 0.5),
        (0, 9, 0.5),
        (1, 4, 0.5),
        (1, 5, "NaN"),
        (1, 5, 0),
        (1, 5, 0.25),
        (1, 5, 0.5),
    ]
    assert history(mlflow, run, "other") == [(1, 5, 0.5)]


def test_a_batch_that_is_known_in_part_is_completed(mlflow: Mlflow) -> None:
    run = mlflow.run()
    points = [POINT | {"step": step, "timestamp": step * 10, "key": key} for step in range(50) for key in "mn"]
    for some in (points[30:60], points[:40], points, points[::-1]):
        mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=some)
    for key in "mn":
        assert history(mlflow, run, key) == [(step, step * 10, 0.5) for step in range(50)]


def test_the_same_point_at_once_is_one(mlflow: Mlflow) -> None:
    run, batch = mlflow.run(), [POINT | {"step": step} for step in range(20)]
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(mlflow.ok, "POST", "runs/log-batch", run_id=run, metrics=batch) for _ in range(16)]
    assert [each.result() for each in sent] == [{}] * 16
    assert history(mlflow, run) == [(step, 5, 0.5) for step in range(20)]


def test_points_of_other_runs_are_not_known(mlflow: Mlflow) -> None:
    first, second = mlflow.run(), mlflow.run()
    for run in (first, second):
        mlflow.ok("POST", "runs/log-metric", run_id=run, **POINT)
    assert history(mlflow, first) == history(mlflow, second) == [(1, 5, 0.5)]


@pytest.mark.parametrize("value", [0.5, "NaN", "Infinity"])
def test_a_point_that_was_measured_of_models_is_one_of_the_runs_and_one_of_each(mlflow: Mlflow, value: object) -> None:
    """As MLflow's client sends it: `log_metric(step=1)`, then `log_model(step=1)`, then again for another model."""
    run, point = mlflow.run(), POINT | {"value": value}
    models = [mlflow.logged_model(name=name)["info"]["model_id"] for name in "ab"]
    mlflow.ok("POST", "runs/log-metric", run_id=run, **point)
    for _ in range(2):
        for model in models:
            mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=[point | {"model_id": model}])
        mlflow.ok("POST", "runs/log-metric", run_id=run, **point)
    assert history(mlflow, run) == [(1, 5, value)]
    assert shown(mlflow, run) == [value]
    for model in models:
        assert model_points(mlflow, model) == [point]
    assert mlflow.ok("DELETE", f"logged-models/{models[0]}") == {}
    assert history(mlflow, run) == [(1, 5, value)]


def test_a_point_on_two_datasets_is_two_of_the_model(mlflow: Mlflow) -> None:
    run, model = mlflow.run(), mlflow.logged_model()["info"]["model_id"]
    for _ in range(2):
        for name in ("train", "test"):
            measured = {"model_id": model, "dataset_name": name, "dataset_digest": "1"}
            mlflow.ok("POST", "runs/log-metric", run_id=run, **POINT, **measured)
    assert history(mlflow, run) == [(1, 5, 0.5)]
    assert [point["dataset_name"] for point in model_points(mlflow, model)] == ["train", "test"]


def test_points_that_an_earlier_version_kept_twice_are_shown_once(server: LiveServer, mlflow: Mlflow) -> None:
    run, model = mlflow.run(), mlflow.logged_model()["info"]["model_id"]
    mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=[POINT, POINT | {"step": 2, "value": "NaN"}])

    def write(registry: Registry) -> None:
        session = registry.session
        candidate = session.scalar(select(Candidate.id).where(Candidate.eid == run))
        internal = session.scalar(select(LoggedModel.id).where(LoggedModel.eid == model))
        common: dict[str, Any] = {"candidate_id": candidate, "name": "m", "timestamp": 5}
        number, nan = {"value": 0.5, "is_nan": False, "step": 1}, {"value": 0.0, "is_nan": True, "step": 2}
        kinds = [(number, None), (number, internal), (nan, internal)]
        rows = [common | kind | {"logged_model_id": measured} for kind, measured in kinds]
        session.execute(insert(CandidateMetric), rows * 3)

    server.app.state.database.write_now(write)
    assert history(mlflow, run) == [(1, 5, 0.5), (2, 5, "NaN")]
    assert shown(mlflow, run) == [0.5, "NaN"]
    assert model_points(mlflow, model) == [{"key": "m", "value": "NaN", "timestamp": 5, "step": 2}]  # the last
    first = mlflow.ok("GET", "metrics/get-history", run_id=run, metric_key="m", max_results=1)
    rest = mlflow.ok("GET", "metrics/get-history", run_id=run, metric_key="m", page_token=first["next_page_token"])
    assert [point["step"] for point in (*first["metrics"], *rest["metrics"])] == [1, 2]
    mlflow.ok("POST", "runs/log-metric", run_id=run, **POINT, model_id=model)
    assert len(model_points(mlflow, model)) == 1
