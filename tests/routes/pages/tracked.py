"""A project with experiments and runs, as tests of their pages fill it by the API."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.conftest import MLFLOW

NASTY = "<script>alert(1)</script>\" onload='x' {{ 7*7 }} `"


class World:
    """A project, and the API to fill it."""

    def __init__(self, root: httpx2.Client, project: dict[str, Any]) -> None:
        self.root = root
        self.id = project["id"]
        self.path = project["path_with_namespace"]
        self.pages = f"/{self.path}/-/ml"

    def call(self, what: str, **body: object) -> dict[str, Any]:
        answer = self.root.post(f"/projects/{self.id}/{MLFLOW}/{what}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def experiment(self, name: str) -> str:
        return str(self.call("experiments/create", name=name)["experiment_id"])

    def run(self, experiment: str = "0", **data: Any) -> dict[str, Any]:
        """A run with `metrics` (name to values by step), `params`, `tags`, and what else runs/create takes."""
        tags = [{"key": key, "value": value} for key, value in data.pop("tags", {}).items()]
        metrics, params, status = data.pop("metrics", {}), data.pop("params", {}), data.pop("status", "")
        data.setdefault("start_time", 1_700_000_000_000)
        info = dict(self.call("runs/create", experiment_id=experiment, tags=tags, **data)["run"]["info"])
        info["iid"] = int(info["artifact_uri"].rpartition(":")[2])
        points = [
            {"key": name, "value": value, "timestamp": 1_700_000_000_000 + step, "step": step}
            for name, values in metrics.items()
            for step, value in enumerate(values)
        ]
        for begin in range(0, max(len(points), 1), 1000):
            given = [{"key": key, "value": value} for key, value in params.items()] if not begin else []
            self.call("runs/log-batch", run_id=info["run_id"], metrics=points[begin : begin + 1000], params=given)
        if status:
            self.call("runs/update", run_id=info["run_id"], status=status, end_time=1_700_000_065_000)
        return info
