"""A project with one of everything, to send requests to and to look at afterwards."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx2

from modelyard.access.identity import Identity
from modelyard.registry.repository import Registry
from modelyard.services.models.logged_models import NewLoggedModel, create_logged_model
from modelyard.services.models.new_versions import NewVersion, create_version
from modelyard.services.models.registered import create_model, set_alias
from modelyard.services.tracking import experiments
from modelyard.services.tracking.runs import NewRun, create_run
from tests.beginnings import Beginnings
from tests.routes.mlflow.conftest import Mlflow
from tests.routes.mlflow.endpoints import Endpoint
from tests.routes.mlflow.spellings import Body


@dataclass(frozen=True)
class World:
    """A project with one of everything."""

    mlflow: Mlflow
    parts: dict[str, str]

    def ask(self, endpoint: Endpoint, body: Body, *, prefix: bytes = b"") -> object:
        """The answer to a request, and what the world looks like afterwards."""
        answer = self.send(endpoint, body, prefix=prefix)
        assert answer.status_code == 200, answer.text
        return _anonymous(answer), self.look() if endpoint.method != "GET" else []

    def send(self, endpoint: Endpoint, body: Body, *, prefix: bytes = b"") -> httpx2.Response:
        """The answer to a request; `prefix` goes before its JSON."""
        filled, path = self._named(body), str(self._named(endpoint.path))
        if endpoint.method == "GET":
            return self.mlflow.get(path, **filled)
        headers = {"Content-Type": "application/json"}
        content = prefix + json.dumps(filled).encode()
        return self.mlflow.send(endpoint.method, path, content=content, headers=headers)

    def look(self) -> list[str]:
        """Everything that there is, but for what differs from one world to the next."""
        return [_anonymous(look) for look in self._looks()]

    def _named(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._named(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._named(each) for each in value]
        is_pattern = isinstance(value, str) and value != "{}"
        return value.format(**self.parts) if is_pattern else value

    def _looks(self) -> list[httpx2.Response]:
        ask, parts = self.mlflow.get, self.parts
        return [
            self.mlflow.post("experiments/search", view_type="ALL", order_by=["experiment_id"]),
            self.mlflow.post("runs/search", experiment_ids=[parts["experiment"]], run_view_type="ALL"),
            ask("runs/get", run_id=parts["run"]),
            ask("metrics/get-history", run_id=parts["run"], metric_key="m"),
            ask("registered-models/search"),
            ask("model-versions/search"),
            ask(f"logged-models/{parts['logged']}"),
            self.mlflow.post("logged-models/search", experiment_ids=[parts["experiment"]]),
        ]


def _anonymous(answer: httpx2.Response) -> str:
    """An answer without what differs from one project to the next, and from one moment to the next."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<run>", answer.text)
    text = re.sub(r"m-[0-9a-f]{32}", "<logged>", text)
    text = re.sub(r'"[a-z]+-[a-z]+-[0-9]{1,3}"', '"<name>"', text)
    text = re.sub(r'("(creation_|last_updated?_)(time|timestamp)(_ms)?":)[0-9]+', r"\1<moment>", text)
    text = re.sub(r"mlflow-artifacts:/projects/[0-9]+/", "mlflow-artifacts:/projects/<project>/", text)
    return re.sub(r'(\\?"version\\?": ?"?|mlflow-artifacts:/projects/<project>/)[0-9]+', r"\1<version>", text)


def filled(mlflow: Mlflow, beginnings: Beginnings) -> World:
    """The world that an empty project becomes, by the services: ten requests took a fifth of the time."""
    project, tags = int(mlflow.project), {"t": "v"}

    def work(registry: Registry, caller: Identity) -> dict[str, str]:
        experiment, deleted = (
            str(experiments.create_experiment(registry, caller, project, name, {}).iid) for name in ("e", "deleted")
        )
        experiments.delete_experiment(registry, project, deleted)
        experiments.set_tag(registry, project, experiment, "t", "v")
        begun = NewRun(experiment, name="r", start_time=1, tags=tags)
        run = create_run(registry, caller, project, begun).candidate.eid
        announced = NewLoggedModel(experiment, "model", "", "", {}, {})
        logged = create_logged_model(registry, caller, project, announced).model.eid
        create_model(registry, caller, project, "m", "", tags)
        made = NewVersion("m", source="elsewhere", tags=tags)
        version = str(create_version(registry, caller, project, made, lambda _elsewhere: None).version.id)
        set_alias(registry, project, "m", "a", version)
        parts = {"experiment": experiment, "deleted_experiment": deleted, "run": run, "logged": logged}
        return parts | {"version": version}

    return World(mlflow, beginnings.within(project, work))
