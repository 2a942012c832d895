"""Every text and every list that a request may carry has a bound, which the OpenAPI document tells.

Whoever adds an endpoint has it held to this without a line. What is longer is 400 and names the parameter; what is as
long as it may be is not refused for that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx2
import pytest

from modelyard.routes.http.bodies import SMALL_BODY_BYTES
from modelyard.routes.http.params import LISTS_BODY_BYTES
from modelyard.services.tracking import limits
from tests.live import LiveServer

Schema = dict[str, Any]
Place = tuple[str, str, str]  # method, path, and where in the request: `query.name` or `body.field`

BODIES = {SMALL_BODY_BYTES, LISTS_BODY_BYTES}  # as long as which a text alone makes a body too large
SAID = ("maxLength", "enum", "const")
FORMATS = {"date", "date-time", "binary"}  # the last is a file, whose size has a limit of its own
ENDLESS = re.compile(r"[+*]")
IN_OWN_WORDS = re.compile(r"more than \d+ characters|1 to \d+ characters|maximum (is|length of) \d+ characters")


@pytest.fixture
def document(server: LiveServer) -> Schema:
    return dict(httpx2.get(f"{server.url}/openapi.json", timeout=60).json())


def bounded(schema: Schema) -> bool:
    if any(word in schema for word in SAID) or schema.get("format") in FORMATS:
        return True
    return "pattern" in schema and not ENDLESS.search(schema["pattern"])


def parts(document: Schema, schema: Schema, where: str) -> Iterator[tuple[str, Schema]]:
    """A schema and all that it consists of."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield where, schema
    for kind in schema.get("anyOf", ()):
        yield from parts(document, kind, where)
    if "items" in schema:
        yield from parts(document, schema["items"], f"{where}[]")
    for name, field in schema.get("properties", {}).items():
        yield from parts(document, field, f"{where}.{name}")


def everything(document: Schema) -> Iterator[tuple[Place, Schema]]:
    """All schemas of what requests may carry."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                for where, schema in parts(document, parameter["schema"], f"{parameter['in']}.{parameter['name']}"):
                    yield (method, path, where), schema
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for where, schema in parts(document, content["schema"], "body"):
                    yield (method, path, where), schema


def test_every_text_and_list_of_the_document_has_a_bound(document: Schema) -> None:
    texts = lists = 0
    for place, schema in everything(document):
        if schema.get("type") == "string":
            texts += 1
            assert bounded(schema), (place, schema)
        if schema.get("type") == "array":
            lists += 1
            assert "maxItems" in schema or "enum" in schema.get("items", {}), (place, schema)
    assert texts > 300
    assert lists > 30


def test_a_text_over_its_bound_is_refused_wherever_it_stands(
    document: Schema, root: httpx2.Client, server: LiveServer
) -> None:
    """Where its service says so in words of its own, other fields may be missing first: see the table below."""
    project = root.post("/projects", json={"name": "bounded"}).json()["id"]
    named = tried = 0
    places = {
        place: schema["maxLength"]
        for place, schema in everything(document)
        if schema.get("type") == "string"
        and "maxLength" in schema
        and place[2].count(".") == 1
        and "[]" not in place[2]
    }
    for (method, path, where), most in places.items():
        kind, name = where.split(".")
        long = "a" * (most + 1)
        if kind not in {"query", "body"} or (kind == "query" and most > 10_000):
            continue
        url = server.url + re.sub(r"\{\w+\}", "1", path.replace("{project}", str(project)))
        query, fields = ({name: long}, None) if kind == "query" else (None, {name: long})
        answer = root.request(method.upper(), url, params=query, json=fields)
        tried += 1
        named += f"{name} is too long (maximum is {most} characters)" in answer.text
        refused = {400, 404, 413} if most in BODIES else {400, 404}
        assert answer.status_code in refused, (method, path, where, answer.text[:200])
        assert len(answer.content) < 4096
    assert tried > 250
    assert named > 150


def items(**fields: object) -> list[dict[str, object]]:
    return [fields]


def text(length: int) -> str:
    return "\u00e9" * length


# Method, path below MLflow's prefix or the API, the text's bound, and the body with a text in it; {…} are filled in.
Body = Callable[[str], Mapping[str, object]]
RUN, MODEL, VERSION = {"run_id": "{run}"}, {"name": "m"}, {"name": "m", "version": "1.0.0"}
DATASET = {"name": "d", "digest": "x"}


def dataset(**fields: object) -> dict[str, object]:
    return RUN | {"datasets": items(dataset=DATASET | fields)}


TEXTS: dict[str, tuple[str, str, int, Body]] = {
    "experiment name": ("POST", "experiments/create", 500, lambda t: {"name": t}),
    "experiment tag": (
        *("POST", "experiments/set-experiment-tag", 65_536),
        lambda t: {"experiment_id": "0", "key": "k", "value": t},
    ),
    "run name": ("POST", "runs/create", 255, lambda t: {"experiment_id": "0", "run_name": t}),
    "run's new name": ("POST", "runs/update", 255, lambda t: RUN | {"run_name": t}),
    "run's user": ("POST", "runs/create", 256, lambda t: {"experiment_id": "0", "user_id": t}),
    "run tag": ("POST", "runs/set-tag", 65_536, lambda t: RUN | {"key": "k", "value": t}),
    "run tag's key": ("POST", "runs/set-tag", 250, lambda t: RUN | {"key": t, "value": "v"}),
    "parameter": ("POST", "runs/log-parameter", 65_536, lambda t: RUN | {"key": "k", "value": t}),
    "metric": ("POST", "runs/log-metric", 250, lambda t: RUN | {"key": t, "value": 1, "timestamp": 1}),
    "metric's dataset": (
        *("POST", "runs/log-metric", limits.MAX_DATASET_NAME),
        lambda t: RUN | {"key": "k", "value": 1, "timestamp": 1, "dataset_name": t},
    ),
    "metric's digest": (
        *("POST", "runs/log-metric", limits.MAX_DATASET_DIGEST),
        lambda t: RUN | {"key": "k", "value": 1, "timestamp": 2, "dataset_name": "d", "dataset_digest": t},
    ),
    "dataset name": ("POST", "runs/log-inputs", limits.MAX_DATASET_NAME, lambda t: dataset(name=t)),
    "dataset digest": ("POST", "runs/log-inputs", limits.MAX_DATASET_DIGEST, lambda t: dataset(digest=t)),
    "dataset source type": (
        *("POST", "runs/log-inputs", limits.MAX_DATASET_SOURCE_TYPE),
        lambda t: dataset(digest="1", source_type=t),
    ),
    "dataset source": (
        *("POST", "runs/log-inputs", limits.MAX_DATASET_SOURCE),
        lambda t: dataset(digest="2", source=t),
    ),
    "dataset schema": (
        *("POST", "runs/log-inputs", limits.MAX_DATASET_SCHEMA),
        lambda t: dataset(digest="3", schema=t),
    ),
    "dataset profile": (
        *("POST", "runs/log-inputs", limits.MAX_DATASET_PROFILE),
        lambda t: dataset(digest="4", profile=t),
    ),
    "dataset tag": (
        *("POST", "runs/log-inputs", limits.MAX_INPUT_TAG_VALUE),
        lambda t: RUN | {"datasets": items(dataset=DATASET | {"digest": "5"}, tags=items(key="k", value=t))},
    ),
    "model name": ("POST", "registered-models/create", 500, lambda t: {"name": t}),
    "model description": ("PATCH", "registered-models/update", 10_000, lambda t: MODEL | {"description": t}),
    "model tag": ("POST", "registered-models/set-tag", 100_000, lambda t: MODEL | {"key": "k", "value": t}),
    "alias": ("POST", "registered-models/alias", 255, lambda t: VERSION | {"alias": t}),
    "version description": ("PATCH", "model-versions/update", 10_000, lambda t: VERSION | {"description": t}),
    "version tag": ("POST", "model-versions/set-tag", 100_000, lambda t: VERSION | {"key": "k", "value": t}),
    "version source": ("POST", "model-versions/create", 2_000, lambda t: MODEL | {"source": t}),
    "version run": ("POST", "model-versions/create", 256, lambda t: MODEL | {"source": "s3://b/k", "run_id": t}),
    "version run link": ("POST", "model-versions/create", 2_000, lambda t: MODEL | {"run_link": t}),
    "logged model name": ("POST", "logged-models", 500, lambda t: {"experiment_id": "0", "name": t}),
    "logged model type": ("POST", "logged-models", 500, lambda t: {"experiment_id": "0", "model_type": t}),
    "logged model's run": ("POST", "logged-models", 256, lambda t: {"experiment_id": "0", "source_run_id": t}),
    "logged model tag": ("PATCH", "logged-models/{model}/tags", 65_536, lambda t: {"tags": items(key="k", value=t)}),
    "logged model parameter": (
        *("POST", "logged-models/{model}/params", 65_536),
        lambda t: {"params": items(key=str(len(t)), value=t)},
    ),
    "filter": ("POST", "runs/search", 10_000, lambda t: {"experiment_ids": ["0"], "filter": f"tags.k = '{t[11:]}'"}),
    "token name": ("POST", "/projects/{project}/access_tokens", 255, lambda t: {"name": t, "scopes": ["api"]}),
    "token description": (
        *("POST", "/projects/{project}/access_tokens", 255),
        lambda t: {"name": "t", "scopes": ["api"], "description": t},
    ),
    "project name": ("PUT", "/projects/{project}", 255, lambda t: {"name": t}),
    "project description": ("PUT", "/projects/{project}", 2_000, lambda t: {"description": t}),
    "user's name": ("PUT", "/users/{user}", 255, lambda t: {"name": t}),
    "user's e-mail": ("PUT", "/users/{user}", 255, lambda t: {"email": f"{t[5:]}@a.de"}),
}


@pytest.fixture(scope="module")
def world(server: LiveServer) -> dict[str, str]:
    with server.client(server.root_token) as root:
        return prepared(root)


def prepared(root: httpx2.Client) -> dict[str, str]:
    """What the places of TEXTS name."""
    project = root.post("/projects", json={"name": "texts"}).json()["id"]
    mlflow = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
    run = root.post(f"{mlflow}/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]["run_id"]
    model = root.post(f"{mlflow}/logged-models", json={"experiment_id": "0"}).json()["model"]["info"]["model_id"]
    assert root.post(f"{mlflow}/registered-models/create", json={"name": "m"}).is_success
    tags = [{"key": "gitlab.version", "value": "1.0.0"}]
    assert root.post(f"{mlflow}/model-versions/create", json={"name": "m", "tags": tags}).is_success
    user = root.post("/users", json={"username": "bounded", "name": "b", "email": "b@example.com"}).json()["id"]
    return {"{project}": str(project), "{run}": run, "{model}": model, "{user}": str(user), "{mlflow}": mlflow}


@pytest.mark.parametrize("what", TEXTS)
def test_what_is_stored_may_be_as_long_as_its_bound_and_no_longer(
    root: httpx2.Client, world: dict[str, str], what: str
) -> None:
    method, path, most, body = TEXTS[what]
    url = path if path.startswith("/") else f"{{mlflow}}/{path}"

    def send(length: int) -> httpx2.Response:
        content = json.dumps(body(text(length)), ensure_ascii=False)
        address = url
        for name, value in world.items():
            content, address = content.replace(name, value), address.replace(name, value)
        return root.request(method, address, content=content.encode(), headers={"Content-Type": "application/json"})

    fitting = send(most)
    assert fitting.is_success, fitting.text[:300]
    for length in (most + 1, 2 * most):
        refused = send(length)
        assert refused.status_code == 400, (length, refused.text[:300])
        assert IN_OWN_WORDS.search(refused.text), refused.text[:300]
        assert len(refused.content) < 2048
