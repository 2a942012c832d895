"""Many runs at once: histories, samples of histories, and the datasets of experiments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelyard.routes.mlflow import pages
from tests.routes.mlflow.conftest import Mlflow, code_of

INVALID, MISSING = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"
BULK, INTERVAL, DATASETS = (
    "metrics/get-history-bulk",
    "metrics/get-history-bulk-interval",
    "experiments/search-datasets",
)


def points(*steps: int, key: str = "m") -> list[dict[str, Any]]:
    return [{"key": key, "value": step / 2, "timestamp": 1_000 - step, "step": step} for step in steps]


@pytest.fixture
def two(mlflow: Mlflow) -> tuple[str, str]:
    """Runs with the steps 0 to 9, later ones earlier, and 5 alone; sorted by their ids."""
    first, second = sorted((mlflow.run(), mlflow.run()))
    mlflow.ok("POST", "runs/log-batch", run_id=first, metrics=points(*range(10)))
    mlflow.ok("POST", "runs/log-batch", run_id=second, metrics=[*points(5), *points(6, key="other")])
    return first, second


def steps_of(mlflow: Mlflow, path: str, **query: Any) -> list[tuple[str, int]]:
    found = mlflow.ok("GET", path, **({"metric_key": "m"} | query))["metrics"]
    return [(point["run_id"], point["step"]) for point in found]


def test_a_metric_is_shown_in_many_runs_by_time(mlflow: Mlflow, two: tuple[str, str]) -> None:
    first, second = two
    by_time = [(first, step) for step in range(9, -1, -1)] + [(second, 5)]
    assert steps_of(mlflow, BULK, run_id=[second, first, "unknown"]) == by_time
    assert steps_of(mlflow, BULK, run_id=[first, second], max_results=3) == by_time[:3]
    assert steps_of(mlflow, BULK, run_id=[first, second], metric_key="other") == [(second, 6)]
    assert steps_of(mlflow, BULK, run_id=first, max_results=10**12) == by_time[:10]
    (point,) = mlflow.ok("GET", BULK, run_id=second, metric_key="m")["metrics"]
    assert point == {"key": "m", "value": 2.5, "timestamp": 995, "step": 5, "run_id": second}


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [9]), (2, [0, 9]), (3, [0, 4, 9]), (4, [0, 3, 6, 9]), (9, [0, 2, 3, 4, 5, 6, 7, 9]), (10, list(range(10)))],
)
def test_samples_are_spread_evenly_and_end_with_the_last(
    mlflow: Mlflow, two: tuple[str, str], count: int, expected: list[int]
) -> None:
    first, second = two
    sampled = steps_of(mlflow, INTERVAL, run_ids=[second, first], max_results=count)
    assert sampled[0] == (second, 5)
    assert {run for run, _step in sampled[1:]} == {first}
    steps = [step for _run, step in sampled[1:]]
    assert (len(steps), steps[-1]) == (count, 9)
    assert steps if count == 9 else steps == expected


def test_samples_may_be_of_some_steps_only(mlflow: Mlflow, two: tuple[str, str]) -> None:
    def steps(start: int, end: int, **query: int) -> list[int]:
        found = steps_of(mlflow, INTERVAL, run_ids=[two[0]], start_step=start, end_step=end, **query)
        return [step for _run, step in found]

    assert steps(2, 6) == [2, 3, 4, 5, 6]
    assert steps(2, 6, max_results=2) == [2, 6]
    assert steps(4, 4) == [4]
    assert steps(-5, 0) == [0]
    assert steps(50, 60) == []


def test_samples_of_many_points_at_one_place_are_few(mlflow: Mlflow) -> None:
    run = mlflow.run()
    same = [{"key": "m", "value": value, "timestamp": 1} for value in (*range(500), "NaN", "Infinity")]
    mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=same)
    found = mlflow.ok("GET", INTERVAL, run_ids=[run], metric_key="m", max_results=3)["metrics"]
    assert [point["value"] for point in found] == ["NaN", 167.0, "Infinity"]


def test_samples_of_many_runs_do_not_depend_on_what_is_read_at_once(
    mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [mlflow.run() for _ in range(5)]
    for number, run in enumerate(runs):
        mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=points(*range(number)))
    whole = steps_of(mlflow, INTERVAL, run_ids=runs)
    assert whole == [(run, step) for number, run in enumerate(runs) for step in range(number)]
    monkeypatch.setattr(pages, "MAX_PIECE", 1)
    assert steps_of(mlflow, INTERVAL, run_ids=runs) == whole


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (BULK, {}),
        (BULK, {"run_id": ["r"]}),
        (BULK, {"metric_key": "m"}),
        (BULK, {"run_id": ["r"] * 101, "metric_key": "m"}),
        (INTERVAL, {}),
        (INTERVAL, {"run_ids": ["r"]}),
        (INTERVAL, {"metric_key": "m"}),
        (INTERVAL, {"run_ids": ["r"] * 101, "metric_key": "m"}),
        (INTERVAL, {"run_ids": ["r"], "metric_key": "m", "max_results": 0}),
        (INTERVAL, {"run_ids": ["r"], "metric_key": "m", "max_results": 2_501}),
        (INTERVAL, {"run_ids": ["r"], "metric_key": "m", "start_step": 1}),
        (INTERVAL, {"run_ids": ["r"], "metric_key": "m", "end_step": 1}),
        (INTERVAL, {"run_ids": ["r"], "metric_key": "m", "start_step": 2, "end_step": 1}),
        (INTERVAL, {"run_ids": ["r"], "metric_key": "m", "start_step": "x", "end_step": 1}),
    ],
)
def test_what_makes_no_sense_is_refused(mlflow: Mlflow, path: str, query: dict[str, Any]) -> None:
    assert code_of(mlflow.get(path, **query), 400) == INVALID


def test_runs_of_other_projects_are_not_shown(
    mlflow: Mlflow, two: tuple[str, str], make_project: Callable[..., dict[str, Any]]
) -> None:
    other = Mlflow(mlflow.client, make_project()["id"])
    assert steps_of(other, BULK, run_id=list(two)) == []
    assert steps_of(other, INTERVAL, run_ids=list(two)) == []


def test_the_datasets_of_experiments_are_found(mlflow: Mlflow) -> None:
    experiments = [mlflow.experiment(name) for name in ("a", "b", "c")]
    for experiment, name, context in (("1", "x", "train"), ("1", "x", "train"), ("1", "x", None), ("2", "y", "test")):
        dataset = {"name": name, "digest": "1", "source_type": "local", "source": "{}"}
        tags = [{"key": "mlflow.data.context", "value": context}] if context else []
        run = mlflow.run(experiment)
        mlflow.ok("POST", "runs/log-inputs", run_id=run, datasets=[{"dataset": dataset, "tags": tags}])
    found = mlflow.ok("POST", DATASETS, experiment_ids=experiments)["dataset_summaries"]
    assert sorted(found, key=str) == [
        {"experiment_id": "1", "name": "x", "digest": "1", "context": "train"},
        {"experiment_id": "1", "name": "x", "digest": "1"},
        {"experiment_id": "2", "name": "y", "digest": "1", "context": "test"},
    ]
    assert mlflow.ok("POST", DATASETS, experiment_ids=["3"]) == {"dataset_summaries": []}
    for experiment_ids in ([], ["1"] * 21):
        assert code_of(mlflow.post(DATASETS, experiment_ids=experiment_ids), 400) == INVALID
    assert code_of(mlflow.post(DATASETS), 400) == INVALID


@pytest.mark.parametrize(
    ("method", "path", "parameters"),
    [
        ("GET", BULK, {"run_id": "r", "metric_key": "m"}),
        ("GET", INTERVAL, {"run_ids": "r", "metric_key": "m"}),
        ("POST", DATASETS, {"experiment_ids": ["0"]}),
    ],
)
def test_mlflows_pages_find_them_where_they_look(
    mlflow: Mlflow, method: str, path: str, parameters: dict[str, Any]
) -> None:
    options: dict[str, Any] = {"params" if method == "GET" else "json": parameters}
    answer = mlflow.client.request(method, f"{mlflow.root}/ajax-api/2.0/mlflow/{path}", **options)
    assert answer.status_code == 200
    assert answer.json() == mlflow.ok(method, path, **parameters)


def test_no_runs_have_no_histories(mlflow: Mlflow) -> None:
    for path in (BULK, INTERVAL):
        assert code_of(mlflow.send("GET", path, params={"metric_key": "m"}), 400) == INVALID
