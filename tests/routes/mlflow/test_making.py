"""MLflow's endpoints that make models, versions, experiments and runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import MLFLOW


@pytest.fixture
def base(make_project: Callable[..., dict[str, Any]]) -> str:
    return f"/projects/{make_project()['id']}/{MLFLOW}"


def refusal(answer: httpx2.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["message"], str)
    return str(answer.json()["error_code"])


def test_a_model_is_registered_with_an_experiment_of_its_own(root: httpx2.Client, base: str) -> None:
    body = {"name": "churn", "description": "d", "tags": [{"key": "k", "value": "v"}]}
    made = root.post(f"{base}/registered-models/create", json=body)
    assert made.status_code == 200
    model = made.json()["registered_model"]
    assert (model["name"], model["description"], model["user_id"]) == ("churn", "d", "1")
    assert model["tags"] == body["tags"]
    taken = root.post(f"{base}/experiments/create", json={"name": "[model]churn"})
    assert refusal(taken) == "RESOURCE_ALREADY_EXISTS"


@pytest.mark.parametrize("name", ["", "@scope/m", "a:b", "a/", "x" * 501, "a\nb", "//"])
def test_model_names_follow_mlflows_rule(root: httpx2.Client, base: str, name: str) -> None:
    assert refusal(root.post(f"{base}/registered-models/create", json={"name": name})) == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize("name", ["m", "a b", "é", "a.b-c_d+e & f", "m@v1", "x" * 500])
def test_names_that_the_rule_allows(root: httpx2.Client, base: str, name: str) -> None:
    assert root.post(f"{base}/registered-models/create", data={"name": name}).status_code == 200


def test_a_name_is_taken_once(root: httpx2.Client, base: str) -> None:
    for name in ("m", "e"):
        root.post(f"{base}/{'registered-models' if name == 'm' else 'experiments'}/create", json={"name": name})
    assert root.post(f"{base}/registered-models/create", json={"name": "e"}).status_code == 200
    root.post(f"{base}/experiments/create", json={"name": "[model]x"})
    for resource, name in (("registered-models", "m"), ("registered-models", "x"), ("experiments", "e")):
        assert refusal(root.post(f"{base}/{resource}/create", json={"name": name})) == "RESOURCE_ALREADY_EXISTS"


def test_versions_count_on_from_the_highest(root: httpx2.Client, base: str) -> None:
    root.post(f"{base}/registered-models/create", json={"name": "m"})

    def make(version: str | None = None) -> str:
        tags = [{"key": "gitlab.version", "value": version}] if version else []
        answer = root.post(f"{base}/model-versions/create", json={"name": "m", "tags": tags})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["model_version"]["aliases"][0])

    assert [make(), make(), make("1.2.3"), make(), make("0.1.0"), make("2.0.0-rc.1+build"), make()] == [
        "1.0.0",
        "1.0.1",
        "1.2.3",
        "1.2.4",
        "0.1.0",
        "2.0.0-rc.1+build",
        "2.0.1",
    ]


@pytest.mark.parametrize(
    "version", ["abc", "v1.0.0", "1.0", "01.0.0", "1.0.0-", "1.0.0-01", f"{2**63}.0.0", "1.0.0" + "0" * 255]
)
def test_versions_are_strictly_semantic(root: httpx2.Client, base: str, version: str) -> None:
    root.post(f"{base}/registered-models/create", json={"name": "m"})
    body = {"name": "m", "tags": [{"key": "gitlab.version", "value": version}]}
    assert refusal(root.post(f"{base}/model-versions/create", json=body)) == "INVALID_PARAMETER_VALUE"


def test_a_version_has_strings_where_mlflow_wants_them(root: httpx2.Client, base: str) -> None:
    root.post(f"{base}/registered-models/create", json={"name": "m"})
    body = {"name": "m", "description": "d", "source": "s", "run_link": "l"}
    version = root.post(f"{base}/model-versions/create", json=body).json()["model_version"]
    assert version["version"].isdigit()
    assert (version["status"], version["source"], version["run_link"]) == ("READY", "s", "l")
    assert (version["user_id"], version["description"], version["tags"]) == ("1", "d", [])
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", version["run_id"])


def test_a_version_of_no_model_is_404(root: httpx2.Client, base: str) -> None:
    answer = root.post(f"{base}/model-versions/create", json={"name": "none"})
    assert refusal(answer, 404) == "RESOURCE_DOES_NOT_EXIST"


def test_a_run_is_promoted_once_and_only_within_its_project(
    root: httpx2.Client, base: str, make_project: Callable[..., dict[str, Any]], make_run: Callable[..., dict[str, Any]]
) -> None:
    root.post(f"{base}/registered-models/create", json={"name": "m"})
    run, foreign = make_run(int(base.split("/")[2])), make_run(make_project()["id"])

    def promote(run_id: str) -> httpx2.Response:
        return root.post(f"{base}/model-versions/create", json={"name": "m", "run_id": run_id})

    assert promote(run["run_id"]).json()["model_version"]["run_id"] == run["run_id"]
    assert refusal(promote(run["run_id"])) == "INVALID_PARAMETER_VALUE"
    for run_id in (foreign["run_id"], "nonsense"):
        assert refusal(promote(run_id), 404) == "RESOURCE_DOES_NOT_EXIST"


def test_a_run_has_the_shape_that_mlflow_reads(root: httpx2.Client, base: str) -> None:
    experiment = root.post(f"{base}/experiments/create", json={"name": "e", "tags": [{"key": "k", "value": "v"}]})
    assert experiment.json() == {"experiment_id": "1"}
    tags = [{"key": "mlflow.runName", "value": "named by tag"}]
    run = root.post(f"{base}/runs/create", json={"experiment_id": "1", "start_time": 1234, "tags": tags}).json()["run"]
    info = run["info"]
    assert run["data"] == {"metrics": [], "params": [], "tags": tags}
    assert (info["run_name"], info["start_time"], info["status"]) == ("named by tag", 1234, "RUNNING")
    assert (info["experiment_id"], info["user_id"], info["lifecycle_stage"]) == ("1", "1", "active")
    place = f"mlflow-artifacts:/projects/{base.split('/')[2]}/candidate:1"
    assert (info["run_uuid"], info["artifact_uri"]) == (info["run_id"], place)
    unnamed = root.post(f"{base}/runs/create", json={"experiment_id": 1}).json()["run"]["info"]
    assert re.fullmatch(r"\w+-\w+-\d+", unnamed["run_name"])
    assert unnamed["artifact_uri"].endswith("candidate:2")


def test_runs_of_experiment_0_are_in_it(root: httpx2.Client, base: str) -> None:
    first, second = (root.post(f"{base}/runs/create", json={"experiment_id": "0"}).json() for _ in range(2))
    assert first["run"]["info"]["experiment_id"] == second["run"]["info"]["experiment_id"] == "0"


@pytest.mark.parametrize("experiment_id", ["999", "abc", "-1", str(2**63)])
def test_a_run_of_no_experiment_is_404(root: httpx2.Client, base: str, experiment_id: str) -> None:
    answer = root.post(f"{base}/runs/create", json={"experiment_id": experiment_id})
    assert refusal(answer, 404) == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("experiments", {}, "name is missing"),
        ("registered-models", {}, "name is missing"),
        ("model-versions", {}, "name is missing"),
        ("runs", {}, "experiment_id is missing"),
        ("runs", {"experiment_id": "0", "start_time": "noon"}, "start_time is invalid"),
        ("runs", {"experiment_id": "0", "start_time": 2**63}, "start_time is invalid"),
        ("experiments", {"name": 5}, "name is invalid"),
        ("experiments", {"name": "e", "tags": [{"value": "v"}]}, "tags is missing"),
    ],
)
def test_parameters_are_named_that_fail(
    root: httpx2.Client, base: str, path: str, body: dict[str, Any], sentence: str
) -> None:
    answer = root.post(f"{base}/{path}/create", json=body)
    assert refusal(answer) == "INVALID_PARAMETER_VALUE"
    assert answer.json()["error"] == sentence


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("experiments", {"name": " "}),
        ("experiments", {"name": "e" * 501}),
        ("experiments", {"name": "e", "tags": [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]}),
        ("experiments", {"name": "e", "tags": [{"key": "", "value": "1"}]}),
        ("experiments", {"name": "e", "tags": [{"key": "k", "value": "v" * 65_537}]}),
        ("registered-models", {"name": "m", "description": "d" * 10_001}),
        ("runs", {"experiment_id": "0", "run_name": "r" * 256}),
    ],
)
def test_values_beyond_their_limits_are_refused(
    root: httpx2.Client, base: str, path: str, body: dict[str, Any]
) -> None:
    assert refusal(root.post(f"{base}/{path}/create", json=body)) == "INVALID_PARAMETER_VALUE"


def test_bodies_that_are_no_json_are_refused(root: httpx2.Client, base: str) -> None:
    for body in (b"{", b"[]", b"\xff", b"[" * 100_000):
        answer = root.post(f"{base}/runs/create", content=body, headers={"Content-Type": "application/json"})
        assert refusal(answer) == "INVALID_PARAMETER_VALUE"


def test_forms_are_taken_as_well(root: httpx2.Client, base: str) -> None:
    assert root.post(f"{base}/experiments/create", data={"name": "urlencoded"}).status_code == 200
    assert root.post(f"{base}/experiments/create", files={"name": (None, "multipart")}).status_code == 200
    assert root.post(f"{base}/experiments/create", params={"name": "query"}).status_code == 200
    broken = root.post(
        f"{base}/experiments/create", content=b"x", headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert broken.json()["error"] == "The form is malformed"


def test_unknown_endpoints_say_so_to_mlflow(root: httpx2.Client, base: str, anonymous: httpx2.Client) -> None:
    assert refusal(root.get(f"{base}/traces/search"), 404) == "ENDPOINT_NOT_FOUND"
    assert refusal(anonymous.post(f"{base}/runs/create", json={"experiment_id": "0"}), 401) == "UNAUTHENTICATED"
