"""A project as tests of pages drive it: by the API as its owner, and by their browser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import quote

import httpx2

from tests.conftest import MLFLOW, Account
from tests.live import LiveServer


@dataclass
class Yard:
    """A project with the API's client and a browser of its owner."""

    id: int
    path: str
    api: httpx2.Client
    browser: httpx2.Client
    owner: Account
    last_run: str = ""  # the id of the run that was made last

    def url(self, rest: str = "") -> str:
        return f"/{self.path}{rest}"

    def register(self, name: str, **more: object) -> None:
        """Make a model by the API."""
        made = self.api.post(f"/projects/{self.id}/{MLFLOW}/registered-models/create", json={"name": name} | more)
        assert made.status_code == 200, made.text

    def model(self, name: str = "iris", **more: object) -> int:
        """Make a model; the answer is the id that pages know it by."""
        self.register(name, **more)
        quoted = name.replace("'", "''")
        listed = self.browser.get(self.url("/-/ml/models"), params={"filter": f"name = '{quoted}'"})
        return int(re.findall(r'<th scope="row" class="name"><a href="[^"]*/-/ml/models/(\d+)"', listed.text)[0])

    def alias(self, name: str, alias: str, version: int) -> None:
        """Give a version an alias by the API."""
        body = {"name": name, "alias": alias, "version": str(version)}
        assert self.api.post(f"/projects/{self.id}/{MLFLOW}/registered-models/alias", json=body).status_code == 200

    def run(self, **logged: object) -> str:
        """Make a run and log a batch to it; the answer is its id."""
        base = f"/projects/{self.id}/{MLFLOW}/runs"
        run = self.api.post(f"{base}/create", json={"experiment_id": "0"}).json()["run"]["info"]["run_id"]
        assert self.api.post(f"{base}/log-batch", json={"run_id": run} | logged).status_code == 200
        self.last_run = str(run)
        return self.last_run

    def iid(self, run: str) -> int:
        """The number that pages know a run by."""
        info = self.api.get(f"/projects/{self.id}/{MLFLOW}/runs/get", params={"run_id": run}).json()["run"]["info"]
        return int(info["artifact_uri"].rpartition(":")[2])

    def cookie(self, server: LiveServer, name: str = "modelyard_session", value: str = "") -> Any:
        """A cookie for a browser on the server: by default that of the owner's session."""
        return {"name": name, "value": value or self.browser.cookies[name], "url": server.url, "httpOnly": True}

    def version(self, name: str = "iris", **more: object) -> int:
        made = self.api.post(f"/projects/{self.id}/{MLFLOW}/model-versions/create", json={"name": name} | more)
        assert made.status_code == 200, made.text
        return int(made.json()["model_version"]["version"])

    def put(self, version: int, name: str, content: bytes) -> None:
        answer = self.api.put(f"/projects/{self.id}/packages/ml_models/{version}/files/{quote(name)}", content=content)
        assert answer.status_code == 201, answer.text

    def shown(self, model: int, version: int, rest: str = "") -> str:
        return self.url(f"/-/ml/models/{model}/versions/{version}{rest}")


def rows(text: str) -> list[list[str]]:
    """The texts of a page's table rows."""
    found = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in found]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in cells]
