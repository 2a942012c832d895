"""Values that trip up parsers, in every place of requests that are right but for them: refused or kept, never a fault.

A random test finds the place, but hardly ever the value and the place together. Each database gets one half of them;
with MODELYARD_FUZZ, all.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import pytest

from tests.conftest import MLFLOW
from tests.databases import ON_POSTGRESQL
from tests.live import LiveServer

ODD_TEXTS = (
    *("http://[x", "//[", "runs:/", "models:/", "models:/m-", "mlflow-artifacts:/[", "%", "%zz", "%2e%2e", ".."),
    *("/", "\\", "'", '"', "`", "(", "[", "{", "*", "$1", ":x", "?", "%s", "{0}", " ", "", "a" * 70_000),
    *("-0", "1e400", "0x1", "NaN", "null", "9" * 30, "\u00b2", "\u0661", "\u00e9" * 300, "\U0001f680"),
    *("\x00", "\x7f", "\ud800", "\u2028", "a.b.c = 1", "metrics.`a", "tags.a LIKE", "1=1"),
    *("attributes.x != 'y' AND", "metrics.m DESC extra"),
)
ODD_OTHERS: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**31, 2**63, -(2**63) - 1, 10**40, 1.5, 1e308, [], {}, [None], [[]], {"a": {}}),
    *([["x"]], [{}], ["x"] * 3, {"key": None}),
)

WORD = re.compile(r"[a-z_-]{2,}|2\.0")  # of a path, which is no value

FIRST, STEP = (0, 1) if os.environ.get("MODELYARD_FUZZ") else (int(ON_POSTGRESQL), 2)


@dataclass(frozen=True)
class Request:
    """A request that is answered well as it is."""

    method: str
    path: str
    body: dict[str, Any] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)

    def sent(self, connection: HTTPConnection, token: str) -> tuple[int, bytes]:
        """The status of the answer, and what it says."""
        content = _escaped(self.body) if self.body else None
        headers = {"Content-Type": "application/json"} if self.body else {}
        target = f"/api/v4{self.path}?{urlencode(self.query)}" if self.query else f"/api/v4{self.path}"
        connection.request(self.method, target, content, headers | {"PRIVATE-TOKEN": token})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def spoilt(self, begun: set[tuple[str, ...]]) -> Iterator[Request]:
        """The request with one value after another replaced by something odd, and each word of its path; such a word
        but once behind the same beginning, of those that were `begun` before: no route goes on from it.
        """
        for leaf in _leaves(self.body):
            for value in itertools.chain(ODD_TEXTS, ODD_OTHERS):
                yield Request(self.method, self.path, _replaced(self.body, leaf, value), self.query)
        for name, text in itertools.product(self.query, ODD_TEXTS):
            if "\ud800" not in text and len(text) < 10_000:
                yield Request(self.method, self.path, self.body, self.query | {name: text})
        segments = self.path.split("/")
        for at, text in itertools.product(self._places(segments, begun), ODD_TEXTS):
            if "\ud800" not in text and len(text) < 10_000:
                odd = [*segments[:at], quote(text, safe="%"), *segments[at + 1 :]]
                yield Request(self.method, "/".join(odd), self.body, self.query)

    def _places(self, segments: list[str], begun: set[tuple[str, ...]]) -> Iterator[int]:
        for at in range(2, len(segments)):
            before = (self.method, *segments[:at])
            if not WORD.fullmatch(segments[at]):
                yield at
            elif before not in begun:
                begun.add(before)
                yield at


Leaf = tuple[str | int, ...]


def _leaves(value: Any, at: Leaf = ()) -> Iterator[Leaf]:
    if at:
        yield at
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _leaves(child, (*at, key))


def _replaced(body: dict[str, Any], leaf: Leaf, value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(body)
    place = changed
    for key in leaf[:-1]:
        place = place[key]
    place[leaf[-1]] = value
    return dict(changed)


def _escaped(body: dict[str, Any]) -> bytes:
    """JSON in ASCII, which can name half of a surrogate pair."""
    return json.dumps(body).encode("ascii")


@pytest.fixture(scope="module")
def place(server: LiveServer) -> Iterator[Place]:
    """A registry with one of everything."""
    with server.client(server.root_token) as client:
        yield Place.made(client)


@dataclass(frozen=True)
class Place:
    """One of everything, by the ids that it has."""

    client: httpx2.Client
    project: int
    user: int
    run: str
    version: str
    logged: str
    package: int

    @classmethod
    def made(cls, client: httpx2.Client) -> Place:
        def made(path: str, **body: object) -> Any:
            answer = client.post(path, json=body)
            assert answer.is_success, (path, answer.text)
            return answer.json()

        project = made("/projects", name="odd-values")["id"]
        mlflow = f"/projects/{project}/{MLFLOW}"
        user = made("/users", username="odd-values", email="o@example.com")["id"]
        run = made(f"{mlflow}/runs/create", experiment_id="0")["run"]["info"]["run_id"]
        made(f"{mlflow}/registered-models/create", name="m")
        version = made(f"{mlflow}/model-versions/create", name="m")["model_version"]["version"]
        logged = made(f"{mlflow}/logged-models", experiment_id="0")["model"]["info"]["model_id"]
        assert client.put(f"/projects/{project}/packages/ml_models/{version}/files/d/f", content=b"x").is_success
        (package,) = client.get(f"/projects/{project}/packages?package_version=1.0.0").json()
        return cls(client, project, user, run, version, logged, package["id"])

    def mlflow(self, method: str, path: str, **values: Any) -> Request:
        full = f"/projects/{self.project}/{MLFLOW}/{path}"
        return Request(method, full, query=values) if method == "GET" else Request(method, full, values)

    def requests(self) -> dict[str, Request]:
        """What is spoilt, by a name for each."""
        listed = [*self._runs(), *self._models(), *self._rest()]
        return {f"{each.method} {each.path.removeprefix(f'/projects/{self.project}')}": each for each in listed}

    def _runs(self) -> Iterator[Request]:
        point = {"key": "m", "value": 1.5, "timestamp": 1, "step": 1}
        pair = {"key": "k", "value": "v"}
        dataset = {"name": "d", "digest": "1", "source_type": "s", "source": "s", "schema": "{}", "profile": "{}"}
        inputs = [{"dataset": dataset, "tags": [pair]}]
        search = {"filter": "metrics.m > 0.5", "max_results": 5, "order_by": ["metrics.m DESC"], "page_token": ""}
        yield self.mlflow("POST", "experiments/create", name="e", tags=[pair])
        yield self.mlflow("GET", "experiments/get", experiment_id="0")
        yield self.mlflow("GET", "experiments/get-by-name", experiment_name="Default")
        yield self.mlflow("POST", "experiments/search", **search | {"filter": "name = 'e'", "order_by": ["name"]})
        yield self.mlflow("POST", "experiments/set-experiment-tag", experiment_id="0", **pair)
        yield self.mlflow("POST", "runs/create", experiment_id="0", start_time=1, run_name="r", tags=[pair])
        yield self.mlflow("GET", "runs/get", run_id=self.run)
        yield self.mlflow("POST", "runs/search", experiment_ids=["0"], run_view_type="ALL", **search)
        yield self.mlflow("POST", "runs/update", run_id=self.run, status="FINISHED", end_time=2, run_name="n")
        yield self.mlflow("POST", "runs/log-metric", run_id=self.run, **point)
        yield self.mlflow("POST", "runs/log-parameter", run_id=self.run, **pair)
        yield self.mlflow("POST", "runs/log-batch", run_id=self.run, metrics=[point], params=[pair], tags=[pair])
        yield self.mlflow(
            "POST", "runs/log-inputs", run_id=self.run, datasets=inputs, models=[{"model_id": self.logged}]
        )
        yield self.mlflow("POST", "runs/outputs", run_id=self.run, models=[{"model_id": self.logged, "step": 1}])
        yield self.mlflow("POST", "runs/set-tag", run_id=self.run, **pair)
        yield self.mlflow("GET", "metrics/get-history", run_id=self.run, metric_key="m", max_results="5", page_token="")

    def _models(self) -> Iterator[Request]:
        pair = {"key": "k", "value": "v"}
        version = {"name": "m", "version": self.version}
        search = {"filter": "name = 'm'", "max_results": "5", "order_by": "name ASC", "page_token": ""}
        found = {"filter": "metrics.m > 0.5", "order_by": [{"field_name": "metrics.m", "ascending": True}]}
        measured = [{"dataset_name": "d", "dataset_digest": "1"}]
        yield self.mlflow("POST", "registered-models/create", name="n", description="d", tags=[pair])
        yield self.mlflow("GET", "registered-models/get", name="m")
        yield self.mlflow("GET", "registered-models/search", **search)
        yield self.mlflow("PATCH", "registered-models/update", name="m", description="d")
        yield self.mlflow("POST", "registered-models/set-tag", name="m", **pair)
        yield self.mlflow("POST", "registered-models/alias", alias="best", **version)
        yield self.mlflow("POST", "registered-models/get-latest-versions", name="m", stages=["None"])
        yield self.mlflow(
            *("POST", "model-versions/create"), name="m", source=f"runs:/{self.run}/d", tags=[pair], run_link="l"
        )
        yield self.mlflow("GET", "model-versions/get", **version)
        yield self.mlflow("GET", "model-versions/search", **search)
        yield self.mlflow(
            "POST", "model-versions/transition-stage", stage="Staging", archive_existing_versions=True, **version
        )
        yield self.mlflow("POST", "model-versions/set-tag", **version, **pair)
        yield self.mlflow(
            "POST", "logged-models", experiment_id="0", name="l", source_run_id=self.run, params=[pair], tags=[pair]
        )
        yield self.mlflow(
            "POST", "logged-models/search", experiment_ids=["0"], datasets=measured, max_results=5, **found
        )
        yield self.mlflow("GET", f"logged-models/{self.logged}")
        yield self.mlflow("PATCH", f"logged-models/{self.logged}/tags", tags=[pair])
        yield self.mlflow("POST", f"logged-models/{self.logged}/params", params=[pair])

    def _rest(self) -> Iterator[Request]:
        project, pages = f"/projects/{self.project}", {"page": "1", "per_page": "2"}
        token = {"name": "t", "scopes": ["api"], "expires_at": "2099-01-01"}
        yield Request("GET", "/projects", query=pages | {"search": "x", "visibility": "private"})
        yield Request("PUT", project, {"name": "odd-values", "description": "d", "storage_limit": 0})
        yield Request("GET", f"{project}/members", query=pages | {"query": "x"})
        yield Request("POST", f"{project}/access_tokens", token | {"access_level": 30})
        yield Request("POST", f"{project}/job_tokens", {"expires_in": 60})
        yield Request("GET", f"{project}/job_tokens", query=pages | {"search": "x", "state": "active"})
        yield Request("POST", f"/users/{self.user}/personal_access_tokens", token)
        yield Request("GET", "/users", query=pages | {"search": "x", "username": "root"})
        yield Request("PUT", f"/users/{self.user}", {"name": "n", "email": "n@example.com", "admin": False})
        yield Request("GET", "/audit_events", query=pages | {"entity_type": "Project", "created_after": "2026-01-01"})
        yield Request(
            "GET", f"{project}/packages", query=pages | {"package_name": "m", "order_by": "name", "sort": "asc"}
        )
        yield Request("GET", f"{project}/packages/{self.package}/package_files", query=pages | {"order_by": "id"})
        files = f"{project}/packages/ml_models/{self.version}/files"
        yield Request("GET", f"{files}/d/f")
        yield Request("PUT", f"{files}/d/f/authorize", {"size": 1, "sha256": "0" * 64})
        yield Request(
            "GET", f"{project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts", query={"path": f"{self.version}/d"}
        )


@pytest.fixture
def connection(server: LiveServer) -> Iterator[HTTPConnection]:
    """Kept for all requests, of which there are many thousands: httpx2 takes four times as long for each."""
    kept = HTTPConnection("127.0.0.1", server.port, timeout=60)
    yield kept
    kept.close()


@pytest.mark.timeout(400)
def test_no_odd_value_is_a_fault_of_the_server(place: Place, connection: HTTPConnection, server: LiveServer) -> None:
    wrong: list[tuple[object, ...]] = []
    begun: set[tuple[str, ...]] = set()
    for name, right in place.requests().items():
        status, text = right.sent(connection, server.root_token)
        if status // 100 != 2:
            wrong.append((name, "as it is", status, text))
        for odd in itertools.islice(right.spoilt(begun), FIRST, None, STEP):
            status, _text = odd.sent(connection, server.root_token)
            if status >= 500:
                wrong.append((name, odd.path, odd.query, odd.body, status))
    assert wrong == []
