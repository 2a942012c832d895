"""Who may do what on MLflow's routes, and what every answer has in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from modelyard.routes.mlflow import shapes
from tests.conftest import Account
from tests.live import LiveServer
from tests.raw import exchange
from tests.routes.mlflow.conftest import Mlflow, code_of

MISSING = "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize("path", ["experiments/get?experiment_id=1", "experiments/list", "runs/get?run_id=x"])
def test_without_a_token_everything_is_refused(mlflow: Mlflow, anonymous: httpx2.Client, path: str) -> None:
    answer = anonymous.get(f"{mlflow.root}/api/2.0/mlflow/{path}")
    assert code_of(answer, 401) == "UNAUTHENTICATED"
    assert answer.json()["message"] == "401 Unauthorized"


def test_a_public_project_needs_a_token_here_too(
    anonymous: httpx2.Client, make_project: Callable[..., dict[str, Any]]
) -> None:
    public = Mlflow(anonymous, make_project(visibility="public")["id"])
    assert public.get("experiments/list").status_code == 401
    assert public.artifact("GET", "1/f").status_code == 401
    assert public.artifact("PUT", "1/f", content=b"x").status_code == 401


def test_an_unknown_token_is_refused(mlflow: Mlflow, client_for: Callable[[str], httpx2.Client]) -> None:
    assert replace(mlflow, client=client_for("myd_unknown")).get("experiments/list").status_code == 401


def test_a_token_that_may_read_reads_and_searches_but_never_writes(
    mlflow: Mlflow, make_token: Callable[..., dict[str, Any]], client_for: Callable[[str], httpx2.Client]
) -> None:
    reader = replace(mlflow, client=client_for(make_token(1, ("read_api",))["token"]))
    experiment = mlflow.experiment()
    assert reader.get("experiments/get", experiment_id=experiment).status_code == 200
    assert reader.post("runs/search", experiment_ids=[experiment]).status_code == 200
    refused = reader.post("experiments/create", name="other")
    assert code_of(refused, 403) == "PERMISSION_DENIED"
    assert refused.json()["error"] == "insufficient_scope"


def test_a_private_project_does_not_exist_for_others(mlflow: Mlflow, make_user: Callable[..., Account]) -> None:
    stranger = replace(mlflow, client=make_user().client)
    answer = stranger.get("experiments/list")
    assert (code_of(answer, 404), answer.json()["message"]) == (MISSING, "404 Project Not Found")


def test_an_unknown_project_is_named_in_gitlabs_words(root: httpx2.Client) -> None:
    answer = Mlflow(root, 999_999).get("experiments/list")
    assert (answer.status_code, answer.json()["message"]) == (404, "404 Project Not Found")


def test_a_reporter_reads_everything_and_writes_nothing(
    mlflow: Mlflow, root: httpx2.Client, make_user: Callable[..., Account]
) -> None:
    user = make_user()
    root.post(f"/projects/{mlflow.project}/members", json={"user_id": user.id, "access_level": 20})
    viewer, run = replace(mlflow, client=user.client), mlflow.run()
    mlflow.model()
    assert viewer.post("registered-models/get-latest-versions", name="m").status_code == 200
    assert viewer.get("runs/get", run_id=run).status_code == 200
    writes = (
        viewer.post("runs/log-metric", run_id=run, key="k", value=1, timestamp=1),
        viewer.post("experiments/create", name="x"),
        viewer.post("model-versions/create", name="m"),
        viewer.delete("registered-models/delete", name="m"),
        viewer.patch("registered-models/update", name="m", description="d"),
        viewer.post("logged-models", experiment_id="0"),
        viewer.artifact("PUT", "candidate:1/f", content=b"x"),
        viewer.artifact("DELETE", "candidate:1/f"),
    )
    assert [answer.status_code for answer in writes] == [403] * len(writes)


def test_a_project_goes_by_its_path_as_well(mlflow: Mlflow, root: httpx2.Client) -> None:
    path = root.get(f"/projects/{mlflow.project}").json()["path_with_namespace"].replace("/", "%2F")
    by_path, experiment = replace(mlflow, project=path), mlflow.experiment()
    mlflow.run(experiment)
    assert by_path.get("experiments/get", experiment_id=experiment).status_code == 200
    assert by_path.artifact("PUT", "candidate:1/f", content=b"x").status_code == 200
    assert root.get(by_path.file("candidate:1", "f")).content == b"x"


@pytest.mark.parametrize("header", ["Authorization", "PRIVATE-TOKEN"])
def test_tokens_come_in_each_of_gitlabs_headers(
    mlflow: Mlflow, anonymous: httpx2.Client, make_token: Callable[..., dict[str, Any]], header: str
) -> None:
    token = make_token(1)["token"]
    value = f"Bearer {token}" if header == "Authorization" else token
    answer = anonymous.get(f"{mlflow.root}/api/2.0/mlflow/experiments/list", headers={header: value})
    assert answer.status_code == 200


def test_an_unknown_endpoint_says_so_in_both_languages(mlflow: Mlflow) -> None:
    answer = mlflow.post("traces/search", max_results=1)
    assert code_of(answer, 404) == "ENDPOINT_NOT_FOUND"
    assert answer.json()["error"] == "404 Not Found"


def test_a_wrong_verb_is_no_endpoint_either(mlflow: Mlflow) -> None:
    answer = mlflow.get("runs/create")
    assert code_of(answer, 405) == "ENDPOINT_NOT_FOUND"
    assert answer.headers["allow"] == "POST"


def test_what_is_no_request_is_refused_with_a_code_too(server: LiveServer, mlflow: Mlflow) -> None:
    path = httpx2.URL(mlflow.root).path
    refused = exchange(server, f"GET {path}/api/2.0/mlflow/runs/get HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".encode())
    assert refused.status == 400
    assert refused.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert refused.json()["message"].startswith("400 Bad request - ")


def test_a_fault_of_the_server_has_a_code_too(
    monkeypatch: pytest.MonkeyPatch, server: LiveServer, mlflow: Mlflow
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(server.app.state.searches, "read", broken)
    answer = mlflow.get("experiments/list")
    assert code_of(answer, 500) == "INTERNAL_ERROR"
    assert answer.json()["message"] == "500 Internal Server Error"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"x"', b'{"name": "\\u0000"}', b'{"name": "\\ud800"}'])
def test_a_malformed_body_is_refused_with_an_object(mlflow: Mlflow, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = mlflow.send("POST", "experiments/create", content=body, headers=headers)
    assert code_of(answer, 400) == "INVALID_PARAMETER_VALUE"


def test_surrogates_that_came_as_bytes_are_refused_and_emoji_are_not(mlflow: Mlflow) -> None:
    headers = {"Content-Type": "application/json"}
    half = mlflow.send("POST", "experiments/create", content=b'{"name": "\xed\xa0\x80"}', headers=headers)
    assert code_of(half, 400) == "INVALID_PARAMETER_VALUE"
    whole = mlflow.send("POST", "experiments/create", content=b'{"name": "\\ud83d\\ude00"}', headers=headers)
    assert whole.status_code == 200
    assert mlflow.get("experiments/get-by-name", experiment_name="\U0001f600").status_code == 200


def test_every_id_and_value_is_a_text(mlflow: Mlflow) -> None:
    run_id = mlflow.run(mlflow.experiment())
    mlflow.ok("POST", "runs/log-batch", run_id=run_id, params=[{"key": "p", "value": "1"}])
    run, model, version = mlflow.show_run(run_id), mlflow.model(), mlflow.version()
    texts = [
        *(run["info"][name] for name in ("run_id", "run_uuid", "experiment_id", "user_id")),
        run["data"]["params"][0]["value"],
        model["user_id"],
        *(version[name] for name in ("version", "user_id", "run_id")),
    ]
    assert all(isinstance(text, str) for text in texts)


def test_success_is_200_whatever_is_made(mlflow: Mlflow) -> None:
    for path, body in (
        ("experiments/create", {"name": "x"}),
        ("runs/create", {"experiment_id": "0"}),
        ("registered-models/create", {"name": "m"}),
        ("model-versions/create", {"name": "m"}),
        ("logged-models", {"experiment_id": "0"}),
    ):
        assert mlflow.post(path, **body).status_code == 200


def test_the_server_says_what_it_can_do(mlflow: Mlflow) -> None:
    info = mlflow.client.get(f"{mlflow.root}/api/3.0/mlflow/server-info").json()
    assert info["multipart_uploads_enabled"] is True
    assert info["multipart_downloads_enabled"] is False
    assert info["store_type"] == "SqlStore"
    assert mlflow.client.get(f"{mlflow.root}/version").text.count(".") == 2
    assert mlflow.client.get(f"{mlflow.root}/health").text == "OK"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "experiments/create", {"name": 5}),
        ("POST", "experiments/search", {"max_results": "many"}),
        ("POST", "experiments/search", {"max_results": -1}),
        ("POST", "experiments/search", {"view_type": "SOME"}),
        ("POST", "experiments/search", {"page_token": "!"}),
        ("POST", "experiments/search", {"page_token": "bm9uc2Vuc2U="}),
        ("POST", "runs/create", {"experiment_id": []}),
        ("POST", "runs/search", {"experiment_ids": "0", "filter": "metrics.m >"}),
        ("POST", "runs/log-metric", {"run_id": "x", "key": "k", "value": "much", "timestamp": 1}),
        ("POST", "runs/log-metric", {"run_id": "x", "key": "k", "value": 1, "timestamp": 2**63}),
        ("POST", "runs/log-batch", {"run_id": "x", "metrics": {}}),
        ("POST", "runs/log-inputs", {"run_id": "x", "datasets": [{}]}),
        ("GET", "registered-models/search", {"filter": "description = 'x'"}),
        ("GET", "model-versions/search", {"filter": "version_number = 'x'"}),
        ("POST", "logged-models/search", {"experiment_ids": ["0"], "order_by": [{"ascending": True}]}),
        ("PATCH", "logged-models/m-1", {"status": "FINE"}),
    ],
)
def test_no_permanent_failure_asks_for_another_try(
    mlflow: Mlflow, method: str, path: str, body: dict[str, Any]
) -> None:
    options = {"params": body} if method == "GET" else {"json": body}
    assert code_of(mlflow.send(method, path, **options), 400) == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("value", "shown"), [(1.5, 1.5), (None, "NaN"), (math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
)
def test_what_json_has_no_word_for_is_a_text(value: float | None, shown: float | str) -> None:
    assert shapes.number(value) == shown
