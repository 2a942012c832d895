"""Requests that are large, deep or many of something: each is answered soon, and never as a fault of the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import MLFLOW

TEXT = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def mlflow(make_project: Callable[..., dict[str, Any]]) -> str:
    return f"/projects/{make_project()['id']}/{MLFLOW}"


@pytest.fixture
def experiment(root: httpx2.Client, mlflow: str) -> str:
    return str(root.post(f"{mlflow}/experiments/create", json={"name": "e"}).json()["experiment_id"])


@pytest.mark.parametrize("depth", [100, 1000, 1024, 1025, 10_000])
@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")], ids=["objects", "lists"])
def test_json_may_be_deep(root: httpx2.Client, depth: int, opening: bytes, closing: bytes) -> None:
    content = b'{"name":' + opening * (depth - 1) + b'"\\u0000"' + closing * (depth - 1) + b"}"
    answer = root.post("/projects", content=content, headers=TEXT)
    assert answer.status_code == 400
    assert answer.json()["error"] in {
        "The request contains a character that cannot be stored",
        "The request body is not valid JSON",
    }


@pytest.mark.parametrize(
    ("content", "headers", "sentence"),
    [
        (b"a&" * 30_000, FORM, "The form is malformed"),
        (b"a[]=b&" * 9_000, FORM, "The form is malformed"),
        (b"x", {"Content-Type": "multipart/form-data"}, "The form is malformed"),
        (
            b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 1_100 + b"--b--\r\n",
            {"Content-Type": "multipart/form-data; boundary=b"},
            "The form is malformed",
        ),
        (
            b"{" + b'"a":1,' * 9_000 + b'"b":2}',
            TEXT,
            "name, path are missing, at least one parameter must be provided",
        ),
        (b"\xff\xfe", TEXT, "The request body is not valid JSON"),
        (b'{"name": "\\ud800"}', TEXT, "The request body is not valid JSON"),
        (b'{"name": ' + b"9" * 60_000 + b"}", TEXT, "The request body is not valid JSON"),
    ],
    ids=["fields", "lists", "no-boundary", "parts", "members", "utf-16", "surrogate", "number"],
)
def test_a_body_may_be_odd(root: httpx2.Client, content: bytes, headers: dict[str, str], sentence: str) -> None:
    answer = root.post("/projects", content=content, headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"error": sentence})


@pytest.mark.parametrize("headers", [TEXT, FORM, {"Content-Type": "multipart/form-data; boundary=b"}])
@pytest.mark.parametrize("length", ["known", "unknown"])
def test_a_body_larger_than_any_is_413(root: httpx2.Client, headers: dict[str, str], length: str) -> None:
    body = b" " * (64 * 1024 + 1)
    answer = root.post("/projects", content=body if length == "known" else iter([body]), headers=headers)
    assert (answer.status_code, answer.json()) == (413, {"message": "413 Request Entity Too Large"})


def test_a_document_with_more_values_than_any_is_refused(root: httpx2.Client, mlflow: str) -> None:
    answer = root.post(f"{mlflow}/runs/log-batch", json={"run_id": "r", "metrics": [0] * 120_000})
    assert (answer.status_code, answer.json()["error"]) == (400, "The request body has more than 100000 values")


def test_one_sentence_is_said_of_a_list(root: httpx2.Client, mlflow: str) -> None:
    answer = root.post(f"{mlflow}/runs/log-batch", json={"run_id": "r", "metrics": [0] * 10_000, "tags": [0] * 10_000})
    assert (answer.status_code, answer.json()["error"]) == (400, "metrics is invalid, tags is invalid")


@pytest.mark.parametrize("key", ["%zz", "%ff", "%", "%c3%28"])
def test_a_key_that_is_no_text_is_refused(root: httpx2.Client, mlflow: str, key: str) -> None:
    answer = root.delete(f"{mlflow}/logged-models/m-1/tags/{key}")
    assert (answer.status_code, answer.json()["error"]) == (400, "key is invalid")


def many(count: int, **fields: str) -> list[dict[str, str]]:
    return [{name: f"{value}{i}" for name, value in fields.items()} for i in range(count)]


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("runs/search", {"order_by": [f"params.p{i}" for i in range(20_000)]}, "order_by is invalid"),
        ("runs/search", {"order_by": ",".join(f"params.p{i}" for i in range(21))}, "order_by can have at most 20 keys"),
        ("runs/search", {"order_by": ["params." + "p" * 600] * 20}, "order_by has more than 10000 characters"),
        *(
            (f"{searched}/search", {"order_by": ["name, name"] * 11}, "order_by can have at most 20 keys")
            for searched in ("runs", "experiments", "registered-models", "model-versions")
        ),
        ("runs/search", {"experiment_ids": ["0"] * 10_001}, "experiment_ids is invalid"),
        ("runs/search", {"filter": "(" * 5000}, "Invalid filter"),
        ("runs/search", {"page_token": "A" * 100_000}, "Invalid page token"),
        ("runs/create", {"tags": many(1001, key="k", value="v")}, "tags is invalid"),
        ("logged-models/search", {"datasets": many(101, dataset_name="d")}, "datasets is invalid"),
        ("logged-models/search", {"order_by": ["name"] * 21}, "order_by is invalid"),
        ("logged-models", {"params": many(1001, key="k", value="v")}, "params is invalid"),
        ("registered-models/get-latest-versions", {"name": "m", "stages": ["1.0.0"] * 21}, "stages is invalid"),
        ("runs/log-inputs", {"run_id": "r", "models": many(1001, model_id="m-")}, "models is invalid"),
        ("runs/outputs", {"run_id": "r", "models": many(1001, model_id="m-")}, "models is invalid"),
    ],
)
def test_more_of_something_than_makes_sense_is_refused(
    root: httpx2.Client, mlflow: str, experiment: str, path: str, body: dict[str, object], reason: str
) -> None:
    named = {"experiment_ids": [experiment]} if path.endswith("/search") else {"experiment_id": experiment}
    answer = root.post(f"{mlflow}/{path}", json=named | body)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert reason in answer.json()["message"]


@pytest.mark.parametrize("entity", ["params", "metrics", "tags"])
def test_as_much_as_a_search_takes_is_answered(root: httpx2.Client, mlflow: str, experiment: str, entity: str) -> None:
    comparison = "> 1" if entity == "metrics" else "= 'v'"
    search = {
        "experiment_ids": [experiment],
        "order_by": [f"{entity}.a{i}" for i in range(20)],
        "filter": " AND ".join(f"{entity}.a{i} {comparison}" for i in range(100)),
    }
    assert root.post(f"{mlflow}/runs/search", json=search).json() == {"runs": [], "next_page_token": None}


def test_as_many_datasets_as_a_search_takes_are_answered(root: httpx2.Client, mlflow: str, experiment: str) -> None:
    search = {"experiment_ids": [experiment], "datasets": many(100, dataset_name="d", dataset_digest="x")}
    answer = root.post(f"{mlflow}/logged-models/search", json=search)
    assert answer.json() == {"models": [], "next_page_token": None}
