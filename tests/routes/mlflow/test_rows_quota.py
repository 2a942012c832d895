"""The rows of a project count towards a limit of their own, exactly through any history, and what goes makes room."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from modelyard.registry.dialects import byte_length
from modelyard.registry.repository import Registry
from modelyard.registry.tables import (
    Base,
    Candidate,
    CandidateDataset,
    CandidateMetric,
    CandidateModel,
    CandidateParam,
    CandidateTag,
    Experiment,
    ExperimentTag,
    LoggedModel,
    LoggedModelParam,
    LoggedModelTag,
    Model,
    ModelAlias,
    ModelTag,
    ModelVersion,
    ModelVersionTag,
    Project,
    Token,
)
from modelyard.registry.tracking import rows
from modelyard.services.tracking import rows_quota
from tests.live import LiveServer, running
from tests.routes.mlflow.conftest import Mlflow

# Tables, whose they are, and the texts of each.
COUNTED: tuple[tuple[type[Any], type[Any] | None, tuple[str, ...]], ...] = (
    (Experiment, None, ("name",)),
    (ExperimentTag, Experiment, ("key", "value")),
    (Candidate, None, ("name",)),
    (CandidateTag, Candidate, ("key", "value")),
    (CandidateParam, Candidate, ("key", "value")),
    (CandidateMetric, Candidate, ()),
    (CandidateDataset, Candidate, ("name", "source", "schema", "profile", "tags")),
    (CandidateModel, Candidate, ()),
    (Model, None, ("name", "description")),
    (ModelTag, Model, ("key", "value")),
    (ModelAlias, Model, ("alias",)),
    (ModelVersion, None, ("description", "source", "run_link", "location")),
    (ModelVersionTag, ModelVersion, ("key", "value")),
    (LoggedModel, None, ("name", "model_type", "status_message")),
    (LoggedModelTag, LoggedModel, ("key", "value")),
    (LoggedModelParam, LoggedModel, ("key", "value")),
    (Token, None, ("name", "description")),
)
# As many as those that are counted, bounded by others, or bounded by the limit for files; the trail outlives projects.
OTHERS = {
    *("candidate_latest_metrics", "project_storage", "project_rows", "members", "packages", "package_files"),
    *("users", "blobs", "audit_events", "upkeep_runs", "projects"),
    *("uploads", "upload_parts"),  # so many of a token, for some days
    *("sessions", "sign_in_codes"),  # so many of a user; codes are made by operators, and live for minutes
    "commits",  # so many, and so many bytes, of a version
    *("upload_tickets", "uploaded_objects", "upload_pieces"),  # so many of a user in a project, for a day
    *("known_chunks", "chunk_marks"),  # a hundredth of a file's bytes at most
    *("sessions", "sign_in_codes"),  # of users, and so many of each at a time
    *("device_grants", "sign_on_states"),  # so many in all, for minutes
    *("sign_on_providers", "provider_groups"),  # made by operators, and so many of each
    *("passwords", "user_identities", "sign_on_sessions"),  # of users and their sessions; one of each and provider
    *("issuers", "used_tokens"),  # so many in all; used ones are forgotten when they are over
    *("trusted_publishers", "token_origins", "version_origins"),  # so many of a project; one of a token or a version
    "marks",  # so many of a project or user
}


def actual(registry: Registry, project_id: int) -> int:
    """The bytes of a project's rows, looked for in every table."""
    total = 0
    for table, owner, texts in COUNTED:
        columns = [func.coalesce(byte_length(getattr(table, text)), 0) for text in texts]
        size = func.sum(sum(columns, func.coalesce(rows.ROW_BYTES, 0)))
        statement = select(func.coalesce(size, 0)).select_from(table)
        if owner is not None:
            (key,) = (k for k in table.__table__.foreign_keys if k.column.table is owner.__table__)
            statement = statement.join(owner, key.parent == owner.id)
        total += int(registry.session.scalar(statement.where((owner or table).project_id == project_id)) or 0)
    return total


def used(server: LiveServer, project_id: int) -> int:
    """The bytes that are counted, and are there."""
    database = server.app.state.database

    def both(registry: Registry) -> tuple[int, int]:
        return registry.rows.used(project_id), actual(registry, project_id)

    counted, there = database.read_now(both)
    assert counted == there
    return int(counted)


def test_every_table_is_counted_or_known_not_to_grow_by_itself() -> None:
    assert {table.__tablename__ for table, _owner, _texts in COUNTED} | OTHERS == set(Base.metadata.tables)


class History:
    """Random changes of everything that is counted."""

    def __init__(self, mlflow: Mlflow, seed: int) -> None:
        self.mlflow, self.dice, self.number = mlflow, random.Random(seed), 0
        self.runs = [mlflow.run("0")]
        self.models: list[str] = []
        self.logged = [mlflow.logged_model()["info"]["model_id"]]
        self.versions: list[tuple[str, str]] = []
        self.add_model()

    def text(self) -> str:
        return "\u00e9" * self.dice.randrange(1, 250)

    def pair(self) -> dict[str, str]:
        self.number += 1
        return {"key": f"k{self.dice.randrange(4)}", "value": f"{self.number} {self.text()}"}

    def pick(self, things: list[Any]) -> Any:
        return self.dice.choice(things)

    def add_run(self) -> None:
        experiment = self.mlflow.experiment(f"e{self.number}-{self.dice.random()}")
        self.runs.append(self.mlflow.run(experiment, tags=[self.pair()], run_name=self.text()))
        self.mlflow.ok("POST", "experiments/set-experiment-tag", experiment_id=experiment, **self.pair())
        self.mlflow.ok("POST", "experiments/set-experiment-tag", experiment_id=experiment, **self.pair())

    def log(self) -> None:
        self.number += 1
        metrics = [{"key": "m", "value": 1, "timestamp": self.number, "step": s} for s in range(self.pick([1, 3, 150]))]
        pairs = [self.pair(), {"key": f"p{self.number}", "value": self.text()}]
        run = self.pick(self.runs)
        self.mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=metrics, tags=pairs[:1], params=pairs[1:])
        self.mlflow.ok("POST", "runs/log-batch", run_id=run, metrics=metrics, tags=[self.pair()])

    def log_inputs(self) -> None:
        dataset = {"name": "d", "digest": self.text()[:99], "source": self.text(), "schema": self.text()}
        inputs = [{"dataset": dataset, "tags": [{"key": "k", "value": self.text()}]}]
        models = [{"model_id": self.pick(self.logged)}]
        self.mlflow.ok("POST", "runs/log-inputs", run_id=self.pick(self.runs), datasets=inputs, models=models)

    def add_model(self) -> None:
        self.number += 1
        name = f"m{self.number}"
        self.mlflow.model(name, tags=[self.pair()], description=self.text())
        self.models.append(name)
        self.add_version(name)

    def add_version(self, name: str = "") -> None:
        name = name or self.pick(self.models)
        made = self.mlflow.version(name, tags=[self.pair()], run_link=self.text(), description=self.text())
        self.versions.append((name, made["version"]))

    def change_model(self) -> None:
        name, version = self.pick(self.versions)
        which = {"name": name, "version": version}
        self.mlflow.ok("POST", "registered-models/alias", alias=f"a{self.dice.randrange(3)}", **which)
        self.mlflow.ok("PATCH", "model-versions/update", description=self.text(), **which)
        self.mlflow.ok("PATCH", "registered-models/update", name=name, description=self.text())
        self.mlflow.ok("POST", "registered-models/set-tag", name=name, **self.pair())
        self.mlflow.ok("POST", "model-versions/set-tag", **which, **self.pair())

    def change_logged(self) -> None:
        model, pairs = self.pick(self.logged), [self.pair()]
        self.mlflow.ok("PATCH", f"logged-models/{model}/tags", tags=pairs)
        self.mlflow.ok("POST", f"logged-models/{model}/params", params=[{"key": f"p{self.number}", "value": "v"}])

    def promote(self) -> None:
        run = self.mlflow.run("0")
        self.mlflow.ok("POST", "runs/log-metric", run_id=run, key="m", value=1, timestamp=1)
        name = self.pick(self.models)
        self.versions.append((name, self.mlflow.version(name, run_id=run)["version"]))
        self.runs.append(run)

    def make_token(self) -> None:
        url = f"/projects/{self.mlflow.project}"
        assert self.mlflow.client.post(f"{url}/job_tokens", json={}).status_code == 201
        body = {"name": self.text()[:99], "scopes": ["api"], "description": self.text()[:99]}
        assert self.mlflow.client.post(f"{url}/access_tokens", json=body).status_code == 201

    def delete_tags(self) -> None:
        name, version = self.pick(self.versions)
        self.mlflow.delete("registered-models/delete-tag", name=name, key="k1")
        self.mlflow.delete("model-versions/delete-tag", name=name, version=version, key="k1")
        self.mlflow.delete("registered-models/alias", name=name, alias="a1")
        self.mlflow.post("runs/delete-tag", run_id=self.pick(self.runs), key="k1")

    def delete_version(self) -> None:
        if len(self.versions) > 3:
            name, version = self.versions.pop(self.dice.randrange(len(self.versions)))
            self.mlflow.ok("DELETE", "model-versions/delete", name=name, version=version)

    def delete_model(self) -> None:
        if len(self.models) > 1:
            gone = self.models.pop(0)
            self.mlflow.ok("DELETE", "registered-models/delete", name=gone)
            self.versions = [each for each in self.versions if each[0] != gone] or self.versions[:0]
            self.add_version()

    def delete_logged(self) -> None:
        self.logged.append(self.mlflow.logged_model(params=[self.pair()])["info"]["model_id"])
        self.mlflow.ok("DELETE", f"logged-models/{self.logged.pop(0)}")

    def go_on(self, steps: int) -> None:
        additions = [self.add_run, self.log, self.log_inputs, self.add_model, self.add_version, self.promote] * 2
        changes = [self.change_model, self.change_logged, self.make_token, self.delete_tags]
        deletions = [self.delete_version, self.delete_model, self.delete_logged]
        for step in self.dice.choices([*additions, *changes, *deletions], k=steps):
            step()


def test_all_rows_are_counted_through_any_history(
    server: LiveServer, root: httpx2.Client, mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "POINTS_AT_ONCE", 1)  # each point is counted at once
    project_id = int(mlflow.project)
    history, before = History(mlflow, seed=7), 0
    for _ in range(4):
        history.go_on(30)
        before, after = used(server, project_id), before
        assert before > after
    while len(history.models) > 1:
        history.delete_model()
    assert 0 < used(server, project_id) < before
    assert root.delete(f"/projects/{project_id}").status_code == 202
    assert used(server, project_id) == 0
    assert server.app.state.database.read_now(lambda r: r.session.get(Project, project_id)) is None


def test_single_points_are_counted_on_average(
    server: LiveServer, mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    chances = iter([number / 100 for number in range(100)])  # each of a hundred once
    monkeypatch.setattr("modelyard.registry.tracking.rows.random", lambda: next(chances))
    run, project_id = mlflow.run("0"), int(mlflow.project)
    for number in range(100):
        mlflow.ok("POST", "runs/log-metric", run_id=run, key="m", value=number, timestamp=number, step=number)
    assert used(server, project_id)


@contextmanager
def limited(folder: Path, limit: int) -> Iterator[Mlflow]:
    with running(folder, project_rows_quota=limit) as server, server.client(server.root_token) as client:
        yield Mlflow(client, client.post("/projects", json={"name": "p"}).json()["id"])


def test_nothing_is_added_beyond_the_limit_until_something_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_quota, "ROOM_SECONDS", 0.0)
    with limited(tmp_path, 400_000) as mlflow:
        run = mlflow.run("0")
        mlflow.model("m")
        mlflow.version("m", "1.0.0")
        value = "v" * 50_000
        answers = [
            mlflow.post("model-versions/set-tag", name="m", version="1.0.0", key=f"k{n}", value=value) for n in range(9)
        ]
        assert [answer.status_code for answer in answers] == [200] * 8 + [400]
        url = f"/projects/{mlflow.project}"
        token = {"name": "t", "scopes": ["api"]}
        refusals = [
            answers[-1],
            mlflow.post("runs/create", experiment_id="0"),
            mlflow.post("runs/log-metric", run_id=run, key="m", value=1, timestamp=1),
            mlflow.post("runs/log-batch", run_id=run, params=[{"key": "p", "value": "v"}]),
            mlflow.post("experiments/create", name="e"),
            mlflow.post("registered-models/create", name="other"),
            mlflow.post("model-versions/create", name="m"),
            mlflow.post("logged-models", experiment_id="0"),
            mlflow.client.post(f"{url}/job_tokens", json={}),
            mlflow.client.post(f"{url}/access_tokens", json=token),
        ]
        for answer in refusals:
            assert answer.status_code == 400
            assert answer.json()["message"].startswith("The project's records have reached their limit of 400000 bytes")
            assert ("error_code" in answer.json()) == ("/ml/mlflow/" in str(answer.url))
        # What ends, moves or frees goes on.
        mlflow.ok("POST", "runs/update", run_id=run, status="FINISHED")
        mlflow.ok("POST", "model-versions/transition-stage", name="m", version="1.0.0", stage="Production")
        assert mlflow.client.put(mlflow.file("1", "f"), content=b"bytes").status_code == 201
        other = mlflow.client.post("/projects", json={"name": "q"}).json()["id"]
        assert Mlflow(mlflow.client, other).run("0")
        mlflow.ok("DELETE", "model-versions/delete-tag", name="m", version="1.0.0", key="k0")
        mlflow.ok("POST", "runs/log-metric", run_id=run, key="m", value=1, timestamp=1)
        mlflow.ok("DELETE", "registered-models/delete", name="m")
        assert mlflow.client.post(f"{url}/access_tokens", json=token).status_code == 201


def test_room_is_believed_for_a_while(tmp_path: Path) -> None:
    with limited(tmp_path, 1000) as mlflow:
        assert mlflow.post("experiments/create", name="e" * 400).status_code == 200
        assert mlflow.post("experiments/create", name="f" * 400).status_code == 200


def test_without_a_limit_nobody_looks(tmp_path: Path) -> None:
    with limited(tmp_path, 0) as mlflow:
        assert mlflow.post("experiments/create", name="e" * 400).status_code == 200


def test_projects_whose_room_is_believed_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_quota, "MAX_KNOWN", 2)

    class Registered:
        class rows:  # noqa: N801 - stands for the registry's
            @staticmethod
            def used(_project_id: int) -> int:
                return 0

    quota = rows_quota.RowsQuota(1)
    for project_id in range(5):
        quota.hold(Registered, project_id)  # type: ignore[arg-type]
    assert len(quota._room_until) <= 2
