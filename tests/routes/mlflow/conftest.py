"""Fixtures for MLflow's API: a project of its own for each test, and short calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.beginnings import Beginnings


@dataclass(frozen=True)
class Mlflow:
    """MLflow's API of one project, as one caller sees it."""

    client: httpx2.Client
    project: int | str

    @property
    def root(self) -> str:
        return f"/projects/{self.project}/ml/mlflow"

    @property
    def server(self) -> str:
        """Scheme, host and port of the server."""
        return str(self.client.base_url).removesuffix("/api/v4/")

    def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        return self.client.request(method, f"{self.root}/api/2.0/mlflow/{path}", **options)

    def post(self, path: str, /, **body: Any) -> httpx2.Response:
        return self.send("POST", path, json=body)

    def get(self, path: str, /, **query: Any) -> httpx2.Response:
        return self.send("GET", path, params=query)

    def patch(self, path: str, /, **body: Any) -> httpx2.Response:
        return self.send("PATCH", path, json=body)

    def delete(self, path: str, /, **body: Any) -> httpx2.Response:
        return self.send("DELETE", path, json=body)

    def ok(self, method: str, path: str, /, **parameters: Any) -> dict[str, Any]:
        """The JSON object of an answer that must be 200."""
        options = {"params": parameters} if method == "GET" else {"json": parameters}
        answer = self.send(method, path, **options)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def experiment(self, name: str = "e") -> str:
        return str(self.ok("POST", "experiments/create", name=name)["experiment_id"])

    def run(self, experiment_id: str = "0", **body: Any) -> str:
        made = self.ok("POST", "runs/create", experiment_id=experiment_id, **body)
        return str(made["run"]["info"]["run_id"])

    def show_run(self, run_id: str) -> dict[str, Any]:
        return dict(self.ok("GET", "runs/get", run_id=run_id, run_uuid=run_id)["run"])

    def model(self, name: str = "m", **body: Any) -> dict[str, Any]:
        return dict(self.ok("POST", "registered-models/create", name=name, **body)["registered_model"])

    def version(self, name: str = "m", version: str | None = None, **body: Any) -> dict[str, Any]:
        tags = [{"key": "gitlab.version", "value": version}] if version else []
        made = self.ok("POST", "model-versions/create", name=name, tags=tags + body.pop("tags", []), **body)
        return dict(made["model_version"])

    def logged_model(self, **body: Any) -> dict[str, Any]:
        return dict(self.ok("POST", "logged-models", **({"experiment_id": "0", "name": "model"} | body))["model"])

    def artifact(self, method: str, path: str, **options: Any) -> httpx2.Response:
        return self.client.request(method, f"{self.root}/api/2.0/mlflow-artifacts/artifacts/{path}", **options)

    def listing(self, path: str) -> list[dict[str, Any]]:
        url = f"{self.root}/api/2.0/mlflow-artifacts/artifacts"
        answer = self.client.get(url, params={"path": path})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["files"])

    def file(self, owner: str, name: str) -> str:
        """The URL of a file in the file API."""
        return f"/projects/{self.project}/packages/ml_models/{owner}/files/{name}"


def code_of(answer: httpx2.Response, status: int) -> str:
    """The `error_code` of a refusal that must have a status."""
    assert answer.status_code == status, answer.text
    return str(answer.json()["error_code"])


@pytest.fixture
def mlflow(root: httpx2.Client, beginnings: Beginnings) -> Mlflow:
    return Mlflow(root, beginnings.project())
