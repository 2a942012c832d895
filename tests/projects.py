"""A project as tests drive it, as root, through the API of a live server."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.conftest import MLFLOW
from tests.live import LiveServer


class Project:
    """A fresh project, perhaps with a limit in bytes."""

    def __init__(self, server: LiveServer, client: httpx2.Client, name: str, limit: int | None = None) -> None:
        self.server, self.client = server, client
        self.id: int = client.post("/projects", json={"name": name}).json()["id"]
        self.mlflow = f"/projects/{self.id}/{MLFLOW}"
        if limit is not None:
            self.limit(limit)

    def limit(self, size: int) -> None:
        assert self.client.put(f"/projects/{self.id}", json={"storage_limit": size}).status_code == 200

    def used(self) -> int:
        shown = self.client.get(f"/projects/{self.id}", params={"statistics": "true"}).json()
        assert shown["statistics"]["packages_size"] == shown["statistics"]["storage_size"]
        return int(shown["statistics"]["storage_size"])

    def post(self, path: str, **body: object) -> dict[str, Any]:
        answer = self.client.post(f"{self.mlflow}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def model(self, name: str) -> str:
        self.post("registered-models/create", name=name)
        return name

    def version(self, model: str, **body: object) -> str:
        return str(self.post("model-versions/create", name=model, **body)["model_version"]["version"])

    def run(self) -> tuple[str, str]:
        """A run's id, and the word that names it in the file API."""
        info = self.post("runs/create", experiment_id="0")["run"]["info"]
        return info["run_id"], info["artifact_uri"].rpartition("/")[2]

    def files(self, owner: str) -> str:
        return f"/projects/{self.id}/packages/ml_models/{owner}/files"

    def put(self, owner: str, name: str, content: bytes) -> httpx2.Response:
        return self.client.put(f"{self.files(owner)}/{name}", content=content)

    def packages(self) -> list[int]:
        listed = self.client.get(f"/projects/{self.id}/packages", params={"per_page": 100}).json()
        return [package["id"] for package in listed]
