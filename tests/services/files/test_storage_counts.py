"""The count of a project's bytes is right after any history of its files."""

from __future__ import annotations

import random
from collections import Counter

import httpx2
from sqlalchemy import text

from tests.live import LiveServer
from tests.projects import Project


class History:
    """Random changes of everything that takes files along; `done` tells how often each of them succeeded."""

    def __init__(self, project: Project, seed: int) -> None:
        self.project, self.dice = project, random.Random(seed)
        self.artifacts = f"/projects/{project.id}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts"
        self.done: Counter[str] = Counter()
        self.models = [project.model(f"m{i}") for i in range(2)]
        self.versions = [project.version(model) for model in self.models]
        self.runs = [project.run() for _ in range(3)]

    def note(self, what: str, answer: httpx2.Response) -> None:
        self.done[what] += answer.is_success

    def bytes(self) -> bytes:
        return self.dice.randbytes(self.dice.randrange(1, 2000))

    def upload(self) -> None:
        owner = self.dice.choice([*self.versions, *(run[1] for run in self.runs)])
        self.note("upload", self.project.put(owner, f"d/{self.dice.randrange(4)}", self.bytes()))

    def promote(self) -> None:
        run = self.project.run()
        self.note("promote", self.project.put(run[1], "f", self.bytes()))
        self.versions.append(self.project.version(self.dice.choice(self.models), run_id=run[0]))
        self.runs.append(run)

    def lend(self) -> None:
        before, source = self.project.used(), f"runs:/{self.dice.choice(self.runs)[0]}/d"
        self.versions.append(self.project.version(self.dice.choice(self.models), source=source))
        self.done["lend"] += self.project.used() > before

    def log_model(self) -> None:
        made = self.project.post("logged-models", experiment_id="0", name="x")
        model_id = made["model"]["info"]["model_id"]
        self.note("log model", self.project.client.put(f"{self.artifacts}/models/{model_id}/f", content=self.bytes()))
        if self.dice.random() < 0.5:
            url = f"{self.project.mlflow}/logged-models/{model_id}"
            self.note("delete logged model", self.project.client.delete(url))

    def delete_version(self) -> None:
        gone = self.versions.pop(self.dice.randrange(len(self.versions)))
        for model in self.models:
            self._delete("delete version", "model-versions/delete", {"name": model, "version": gone})
        self.versions.append(self.project.version(self.models[-1]))

    def delete_model(self) -> None:
        self._delete("delete model", "registered-models/delete", {"name": self.models.pop(0)})
        self.models.append(self.project.model(f"m{len(self.done) + self.done.total()}"))

    def delete_package(self) -> None:
        package = self.dice.choice(self.project.packages())
        self.note("delete package", self.project.client.delete(f"/projects/{self.project.id}/packages/{package}"))

    def delete_file(self) -> None:
        package = f"/projects/{self.project.id}/packages/{self.dice.choice(self.project.packages())}/package_files"
        for file in self.project.client.get(package).json()[:1]:
            self.note("delete file", self.project.client.delete(f"{package}/{file['id']}"))

    def delete_tree(self) -> None:
        url = f"{self.artifacts}/{self.dice.choice(self.runs)[1]}/d"
        self.note("delete tree", self.project.client.delete(url))

    def go_on(self, steps: int) -> None:
        usual = [self.upload] * 8 + [self.promote, self.lend, self.log_model] * 2
        deletions = [self.delete_version, self.delete_package, self.delete_file, self.delete_tree] * 2
        for step in self.dice.choices([*usual, *deletions, self.delete_model], k=steps):
            step()

    def _delete(self, what: str, path: str, body: dict[str, str]) -> None:
        self.note(what, self.project.client.request("DELETE", f"{self.project.mlflow}/{path}", json=body))


def test_all_bytes_are_counted_through_any_history(server: LiveServer, root: httpx2.Client) -> None:
    project = Project(server, root, "history")
    history = History(project, seed=5)
    for _ in range(12):
        history.upload()
    history.go_on(120)
    assert len(+history.done) == 10, history.done
    database = server.app.state.database
    assert database.read_now(lambda registry: registry.storage.miscounted()) == []
    with database.engine.connect() as connection:
        joined = "package_files JOIN packages ON packages.id = package_id WHERE project_id = :id"
        there = connection.scalar(text(f"SELECT sum(size) FROM {joined}"), {"id": project.id})
    assert project.used() == there > 0
    assert root.delete(f"/projects/{project.id}").status_code == 202
    assert database.read_now(lambda registry: registry.storage.used(project.id)) == 0
