"""What MLflow's client asks of a tracking server, over the REST calls that it makes, on one connection.

Both servers hold the same runs before; each call is repeated for some seconds.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from bench.contenders.modelyard import MLFLOW, Modelyard, make_project
from bench.metrics import Metrics
from bench.process import Server
from bench.rest import Client, JsonObject
from bench.scale import Scale
from bench.stage import Contender, Stage

REST = "/api/2.0/mlflow"
BATCH = 50  # metrics of one log_batch
FOUND = 50  # runs of one page of a search
MODEL = "tracked"
FILTER = "metrics.final_loss < 0.5 and params.depth = '3'"


class Tracker:
    """A tracking server at `base`, with an experiment of runs."""

    def __init__(self, client: Client, base: str, runs: int) -> None:
        self._client, self._base = client, base + REST
        self._steps = itertools.count()
        self.experiment = str(self._post("experiments/create", name="bench")["experiment_id"])
        self._post("registered-models/create", name=MODEL)
        self._runs = [self._make_run(index, runs) for index in range(runs)]
        self._next_run = itertools.cycle(self._runs)

    def measure(self, seconds: int) -> Metrics:
        """Calls a second, each kind for `seconds`."""
        calls: tuple[Callable[[], JsonObject], ...] = (
            *(self.log_metric, self.log_batch, self.get_run, self.search_runs),
            self.create_model_version,
        )
        return {f"{call.__name__}/s": _rate(call, seconds) for call in calls}

    def log_metric(self) -> JsonObject:
        """Log one value."""
        return self._post("runs/log-metric", run_id=next(self._next_run), **self._metric("loss"))

    def log_batch(self) -> JsonObject:
        """Log many values."""
        return self._post("runs/log-batch", run_id=next(self._next_run), metrics=self._metrics())

    def get_run(self) -> JsonObject:
        """Show a run with its latest values."""
        return self._client.call("GET", f"{self._base}/runs/get?run_id={next(self._next_run)}")

    def search_runs(self) -> JsonObject:
        """Find runs by a metric and a parameter, the best first."""
        order = ["metrics.final_loss ASC"]
        wanted: JsonObject = {"experiment_ids": [self.experiment], "filter": FILTER, "order_by": order}
        return self._post("runs/search", max_results=FOUND, **wanted)

    def create_model_version(self) -> JsonObject:
        """Register a version of what lies elsewhere."""
        return self._post("model-versions/create", name=MODEL, source="s3://bucket/model")

    def _make_run(self, index: int, runs: int) -> str:
        made = self._post("runs/create", experiment_id=self.experiment, start_time=_now(), run_name=f"run-{index}")
        run = str(made["run"]["info"]["run_id"])
        params = [{"key": "depth", "value": str(index % 5)}, {"key": "seed", "value": str(index)}]
        loss = self._metric("final_loss") | {"value": index / runs}
        self._post("runs/log-batch", run_id=run, params=params, metrics=[*self._metrics(), loss])
        return run

    def _metrics(self) -> list[JsonObject]:
        return [self._metric(f"metric-{index}") for index in range(BATCH)]

    def _metric(self, key: str) -> JsonObject:
        step = next(self._steps)
        return {"key": key, "value": step % 100 / 100, "timestamp": _now(), "step": step}

    def _post(self, call: str, **fields: object) -> JsonObject:
        return self._client.call("POST", f"{self._base}/{call}", fields)


def calls(stage: Stage) -> list[Contender]:
    """The same calls on both servers."""
    contenders = [tracking_calls("modelyard", stage.modelyard(), stage.scale)]
    if mlflow := stage.mlflow():
        tracker = Tracker(mlflow.client(), "", stage.scale.runs)
        contenders.append(_tracking("mlflow", mlflow.server, tracker, stage.scale))
    return contenders


def tracking_calls(name: str, server: Modelyard, scale: Scale) -> Contender:
    """The calls on a modelyard."""
    client = server.client()
    make_project(client)
    return _tracking(name, server.server, Tracker(client, MLFLOW, scale.runs), scale)


def _tracking(name: str, server: Server, tracker: Tracker, scale: Scale) -> Contender:
    return Contender(name, lambda: server.watched(lambda: tracker.measure(scale.call_seconds)))


def _rate(call: Callable[[], JsonObject], seconds: int) -> float:
    begun, count = time.perf_counter(), 0
    while (spent := time.perf_counter() - begun) < seconds:
        call()
        count += 1
    return count / spent


def _now() -> int:
    return time.time_ns() // 1_000_000
