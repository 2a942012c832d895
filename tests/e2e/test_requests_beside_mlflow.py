"""Answers beside those of MLflow's own server, to the same requests."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.live import LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

Told = Callable[["Side"], Any]
DATASET = {"name": "d", "digest": "1", "source_type": "local", "source": "{}"}
CONTEXT = "mlflow.data.context"
OF_PAGES = {"metrics/get-history-bulk", "experiments/search-datasets"}  # which MLflow's server has nowhere else


@dataclass(frozen=True)
class Side:
    """One of the two servers."""

    client: httpx2.Client
    root: str

    def send(self, method: str, path: str, parameters: dict[str, Any]) -> httpx2.Response:
        options: dict[str, Any] = {"params" if method == "GET" else "json": parameters}
        api = "ajax-api" if path in OF_PAGES else "api"
        return self.client.request(method, f"{self.root}/{api}/2.0/mlflow/{path}", **options)

    def ok(self, method: str, path: str, /, **parameters: Any) -> dict[str, Any]:
        answer = self.send(method, path, parameters)
        assert answer.status_code == 200, (path, answer.text)
        return dict(answer.json())

    def refusal(self, method: str, path: str, /, **parameters: Any) -> tuple[int, str]:
        """The status of an answer, and its code where it refuses."""
        answer = self.send(method, path, parameters)
        return answer.status_code, answer.json().get("error_code", "")

    def experiment(self) -> str:
        return str(self.ok("POST", "experiments/create", name=uuid.uuid4().hex)["experiment_id"])

    def run(self, experiment: str | None = None, **body: Any) -> dict[str, Any]:
        made = self.ok("POST", "runs/create", experiment_id=experiment or self.experiment(), **body)
        return dict(made["run"]["info"])

    def upload(self, run: dict[str, Any], path: str, content: bytes) -> None:
        place = run["artifact_uri"].partition(":/")[2].strip("/")
        answer = self.client.put(f"{self.root}/api/2.0/mlflow-artifacts/artifacts/{place}/{path}", content=content)
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def theirs(mlflow_url: str) -> Iterator[Side]:
    with httpx2.Client(timeout=60) as client:
        yield Side(client, mlflow_url)


@pytest.fixture
def ours(server: LiveServer, root: httpx2.Client, make_project: Callable[..., dict[str, Any]]) -> Side:
    return Side(root, f"{server.api}/projects/{make_project()['id']}/ml/mlflow")


@pytest.fixture
def same(ours: Side, theirs: Side) -> Callable[[Told], Any]:
    """What both servers answer to the same requests."""

    def asked(tell: Told) -> Any:
        answered = tell(theirs)
        told = tell(ours)
        assert told == answered
        return answered

    return asked


def test_files_of_runs_are_listed_alike(same: Callable[[Told], Any]) -> None:
    def tell(side: Side) -> Any:
        run = side.run()
        for path in ("b.txt", "a b.txt", "d/c.txt", "d/e/f.txt"):
            side.upload(run, path.replace(" ", "%20"), path.encode())
        listed = []
        for directory in (None, "", "d", "d/e", "d/c.txt", "nothing"):
            query = {} if directory is None else {"path": directory}
            answer = side.ok("GET", "artifacts/list", run_uuid=run["run_id"], **query)
            assert answer["root_uri"] == run["artifact_uri"]
            files = sorted(answer.get("files", []), key=lambda each: str(each["path"]))
            listed.append([(each["path"], each["is_dir"], each.get("file_size")) for each in files])
        refused = [{}, {"run_id": "nothing"}, {"run_id": run["run_id"], "path": "../x"}]
        return listed, [side.refusal("GET", "artifacts/list", **query) for query in refused]

    listed, refused = same(tell)
    assert listed[2] == [("d/c.txt", False, 7), ("d/e", True, None)]
    assert [status for status, _code in refused] == [400, 404, 400]


def test_models_of_version_2_are_recorded_alike(same: Callable[[Told], Any]) -> None:
    flavors = {"python_function": {"loader_module": "x", "config": {"a": 1}}, "plain": 5}
    model = {
        "artifact_path": "m",
        "flavors": flavors,
        "utc_time_created": "2024-01-01",
        "run_id": "r",
        "model_uuid": "u",
    }

    def tell(side: Side) -> Any:
        run = side.run()["run_id"]
        for path in ("m", "n"):
            side.ok("POST", "runs/log-model", run_id=run, model_json=json.dumps(model | {"artifact_path": path}))
        tags = side.ok("GET", "runs/get", run_id=run)["run"]["data"]["tags"]
        (recorded,) = (json.loads(tag["value"]) for tag in tags if tag["key"] == "mlflow.log-model.history")
        less = [{key: value for key, value in model.items() if key != left_out} for left_out in model]
        wrong = ["{", *(json.dumps(each) for each in less[:4])]
        refused = [side.refusal("POST", "runs/log-model", run_id=run, model_json=each) for each in wrong]
        refused += [side.refusal("POST", "runs/log-model", run_id="nothing", model_json=json.dumps(model))]
        return recorded, [*refused, side.refusal("POST", "runs/log-model", run_id=run)]

    recorded, refused = same(tell)
    assert [each["artifact_path"] for each in recorded] == ["m", "n"]
    assert [status for status, _code in refused] == [400, 400, 400, 400, 400, 404, 400]


def series(seed: int, count: int) -> list[dict[str, Any]]:
    """Points of which some share a step, and some a time as well; each of them once."""
    chance = random.Random(seed)
    points = {(chance.randrange(count // 2), chance.randrange(50), chance.random()) for _ in range(count)}
    return [{"key": "m", "step": step, "timestamp": time, "value": value} for step, time, value in sorted(points)]


def logged(side: Side, count: int, seed: int = 1) -> str:
    run = str(side.run()["run_id"])
    points = series(seed, count)
    random.Random(seed).shuffle(points)
    for start in range(0, count, 1_000):
        side.ok("POST", "runs/log-batch", run_id=run, metrics=points[start : start + 1_000])
    return run


def values(points: list[dict[str, Any]]) -> list[tuple[int, int, float]]:
    return [(point["step"], point["timestamp"], point["value"]) for point in points]


def test_samples_of_histories_are_alike(same: Callable[[Told], Any]) -> None:
    path = "metrics/get-history-bulk-interval"

    def tell(side: Side) -> Any:
        runs = [logged(side, 2_700), logged(side, 10, seed=2)]
        told = []
        queries: list[dict[str, Any]] = [
            {},
            {"max_results": 1},
            {"max_results": 2},
            {"max_results": 7},
            {"max_results": 2_500},
            {"max_results": 100, "start_step": 200, "end_step": 900},
            {"start_step": 5, "end_step": 5},
            {"start_step": 5_000, "end_step": 6_000},
        ]
        for query in queries:
            points = side.ok("GET", path, run_ids=runs, metric_key="m", **query).get("metrics", [])
            told.append([values([point for point in points if point["run_id"] == run]) for run in runs])
        some: dict[str, Any] = {"metric_key": "m"}
        one = some | {"run_ids": runs[:1]}
        assert side.ok("GET", path, **one | {"metric_key": "none"}).get("metrics", []) == []
        refused: list[dict[str, Any]] = [
            some,
            {"run_ids": runs[:1]},
            one | {"max_results": 0},
            one | {"max_results": 2_501},
            one | {"start_step": 1},
            one | {"start_step": 2, "end_step": 1},
            some | {"run_ids": runs[:1] * 101},
            some | {"run_ids": [runs[0], "nothing"]},
        ]
        return told, [side.refusal("GET", path, **query) for query in refused]

    told, refused = same(tell)
    assert [len(points) for points in told[3]] == [7, 7]
    assert [status for status, _code in refused] == [400] * 7 + [200]


def test_histories_of_many_runs_are_alike(same: Callable[[Told], Any]) -> None:
    def tell(side: Side) -> Any:
        runs = [logged(side, 300), logged(side, 10, seed=2)]
        told = []
        queries: list[dict[str, Any]] = [{}, {"max_results": 20}]
        for query in queries:
            asked: dict[str, Any] = {"run_id": [*runs, "nothing"], "metric_key": "m"} | query
            points = side.ok("GET", "metrics/get-history-bulk", **asked)["metrics"]
            by_run = [values([point for point in points if point["run_id"] == run]) for run in runs]
            assert [point["run_id"] for point in points] == sorted(point["run_id"] for point in points)
            told.append(by_run if not query else [len(points)])
        return told

    assert len(same(tell)[0][0]) == 300


def test_datasets_of_experiments_are_alike(same: Callable[[Told], Any]) -> None:
    def tell(side: Side) -> Any:
        experiments = [side.experiment() for _ in range(2)]
        for number, experiment in enumerate(experiments):
            for context in ("train", "test", None):
                tags = [{"key": CONTEXT, "value": context}] if context else []
                for _ in range(2):
                    run = side.run(experiment)["run_id"]
                    dataset = DATASET | {"digest": str(number)}
                    side.ok("POST", "runs/log-inputs", run_id=run, datasets=[{"dataset": dataset, "tags": tags}])
        found = side.ok("POST", "experiments/search-datasets", experiment_ids=experiments)
        keys = ("name", "digest", "context")
        return sorted(
            [
                (experiments.index(each["experiment_id"]), *(str(each.get(key)) for key in keys))
                for each in found["dataset_summaries"]
            ]
        )

    assert len(same(tell)) == 6


@pytest.mark.parametrize(
    ("method", "path", "most", "more"),
    [
        ("POST", "runs/search", 50_000, {"experiment_ids": ["0"]}),
        ("POST", "experiments/search", 50_000, {}),
        ("GET", "experiments/search", 50_000, {}),
        ("GET", "registered-models/search", 1_000, {}),
        ("GET", "model-versions/search", 200_000, {}),
    ],
)
def test_limits_of_searches_are_alike(
    same: Callable[[Told], Any], method: str, path: str, most: int, more: dict[str, Any]
) -> None:
    told = same(lambda side: [side.refusal(method, path, max_results=most + extra, **more) for extra in (-1, 0, 1)])
    assert told == [(200, ""), (200, ""), (400, "INVALID_PARAMETER_VALUE")]


def test_requests_that_come_twice_are_answered_alike(same: Callable[[Told], Any]) -> None:
    point = {"key": "m", "value": 1.5, "timestamp": 7, "step": 2}

    def tell(side: Side) -> Any:
        name, experiment = uuid.uuid4().hex, side.experiment()
        run = side.run(experiment)["run_id"]
        model = side.ok("POST", "logged-models", experiment_id=experiment, name="l")["model"]["info"]["model_id"]
        tag = {"key": "t", "value": "v"}
        side.ok(
            "POST", "runs/outputs", run_id=run, models=[{"model_id": model, "step": 1}]
        )  # theirs takes it once only
        inputs = {"datasets": [{"dataset": DATASET}], "models": [{"model_id": model}]}
        requests: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "experiments/create", {"name": name}),
            ("POST", "runs/create", {"experiment_id": experiment, "run_name": "n", "start_time": 5}),
            ("POST", "runs/log-metric", {"run_id": run} | point),
            ("POST", "runs/log-metric", {"run_id": run} | point | {"model_id": model}),
            ("POST", "runs/log-batch", {"run_id": run, "metrics": [point, point, point | {"value": "NaN"}]}),
            ("POST", "runs/log-parameter", {"run_id": run} | tag),
            ("POST", "runs/set-tag", {"run_id": run} | tag),
            ("POST", "runs/delete-tag", {"run_id": run, "key": "t"}),
            ("POST", "runs/log-inputs", {"run_id": run} | inputs),
            ("POST", "runs/update", {"run_id": run, "status": "FINISHED", "end_time": 5}),
            ("PATCH", f"logged-models/{model}", {"model_id": model, "status": "LOGGED_MODEL_READY"}),
            ("PATCH", f"logged-models/{model}/tags", {"tags": [tag]}),
            ("DELETE", f"logged-models/{model}/tags/t", {}),
            ("POST", "experiments/set-experiment-tag", {"experiment_id": experiment} | tag),
            ("POST", "experiments/delete-experiment-tag", {"experiment_id": experiment, "key": "t"}),
            ("POST", "registered-models/create", {"name": name}),
            ("POST", "registered-models/set-tag", {"name": name} | tag),
            ("DELETE", "registered-models/delete-tag", {"name": name, "key": "t"}),
            ("PATCH", "registered-models/update", {"name": name, "description": "d"}),
            ("POST", "registered-models/rename", {"name": name, "new_name": name + "2"}),
            ("DELETE", "registered-models/delete", {"name": name + "2"}),
            ("POST", "runs/delete", {"run_id": run}),
            ("POST", "runs/restore", {"run_id": run}),
            ("POST", "experiments/update", {"experiment_id": experiment, "new_name": name + "3"}),
            ("POST", "experiments/delete", {"experiment_id": experiment}),
            ("POST", "experiments/restore", {"experiment_id": experiment}),
        ]
        answers = [[side.refusal(method, path, **body) for _ in range(2)] for method, path, body in requests]
        points = side.ok("GET", "metrics/get-history", run_id=run, metric_key="m")["metrics"]
        shown = side.ok("GET", "runs/get", run_id=run)["run"]
        measured = side.ok("GET", f"logged-models/{model}")["model"]["data"]["metrics"]
        taken = [len(shown["inputs"]["dataset_inputs"]), len(shown["outputs"]["model_outputs"])]
        paths = [path.replace(model, "m") for _method, path, _body in requests]
        told = list(zip(paths, answers, strict=True))
        return told, values(points), taken, values(measured)

    _told, points, taken, measured = same(tell)
    assert (points, taken, measured) == ([(2, 7, "NaN"), (2, 7, 1.5)], [1, 1], [(2, 7, 1.5)])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/update", {"status": 3}),
        ("runs/update", {"status": "3"}),
        ("runs/update", {"status": 3.0, "end_time": "1e3"}),
        ("runs/update", {"status": "FINISHED", "endTime": "1795448441014", "runName": None}),
        ("runs/update", {"status": 9}),
        ("runs/log-metric", {"key": "k", "value": "0.5", "timestamp": "5", "step": "1e+05"}),
        ("runs/log-metric", {"key": "k", "value": "-Infinity", "timestamp": 5, "step": None}),
        ("runs/log-metric", {"key": "k", "value": "", "timestamp": 5}),
        ("runs/log-metric", {"key": "k", "value": None, "timestamp": 5}),
        ("runs/log-metric", {"key": None, "value": 1, "timestamp": 5}),
        ("runs/log-parameter", {"key": "p", "value": None}),
        ("runs/log-parameter", {"key": "p", "value": 5}),
        ("runs/set-tag", {"key": "p", "unknown": {"deep": [None]}}),
        ("runs/set-tag", {"value": "p"}),
    ],
)
def test_spellings_of_a_request_are_taken_alike(same: Callable[[Told], Any], path: str, body: dict[str, Any]) -> None:
    def tell(side: Side) -> Any:
        run = side.run()["run_id"]
        told = side.refusal("POST", path, run_uuid=run, **body)
        info = side.ok("GET", "runs/get", run_uuid=run)["run"]["info"]
        return told, info["status"], info.get("end_time")

    same(tell)
