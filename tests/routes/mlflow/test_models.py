"""Registered models: making, finding, renaming, tagging and deleting them, and the aliases of their versions."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.routes.mlflow.conftest import Mlflow, code_of

MISSING, TAKEN, INVALID = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE"
PROMPT = "tag.`mlflow.prompt.is_prompt`"


def test_a_model_is_made_with_an_experiment_of_its_own(mlflow: Mlflow) -> None:
    made = mlflow.model("m", description="d", tags=[{"key": "k", "value": "v"}])
    assert (made["name"], made["description"], made["tags"]) == ("m", "d", [{"key": "k", "value": "v"}])
    assert mlflow.get("experiments/get-by-name", experiment_name="[model]m").status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "taken"}, TAKEN),
        ({"name": "a/b"}, INVALID),
        ({}, INVALID),
        ({"name": "m", "tags": [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]}, INVALID),
        ({"name": "m", "tags": [{"key": "", "value": "1"}]}, INVALID),
        ({"name": "m", "tags": [{"key": "k", "value": "v" * 100_001}]}, INVALID),
        ({"name": "m", "description": "d" * 10_001}, INVALID),
    ],
)
def test_a_model_against_the_rules_is_refused(mlflow: Mlflow, body: dict[str, Any], code: str) -> None:
    mlflow.model("taken")
    assert code_of(mlflow.post("registered-models/create", **body), 400) == code


def test_a_model_shows_its_latest_versions_whole(mlflow: Mlflow) -> None:
    mlflow.model()
    mlflow.version(version="2.0.0")
    low = mlflow.version(version="1.0.0")
    shown = mlflow.ok("GET", "registered-models/get", name="m")["registered_model"]
    (latest,) = shown["latest_versions"]
    assert latest["aliases"] == ["2.0.0"]
    assert latest == mlflow.ok("GET", "model-versions/get", name="m", version=latest["version"])["model_version"]
    mlflow.ok("POST", "model-versions/transition-stage", name="m", version=low["version"], stage="Production")
    shown = mlflow.ok("GET", "registered-models/get", name="m")["registered_model"]
    stages = {version["current_stage"]: version["version"] for version in shown["latest_versions"]}
    assert stages == {"None": latest["version"], "Production": low["version"]}


def test_an_unknown_model_does_not_exist(mlflow: Mlflow) -> None:
    answers = [
        mlflow.get("registered-models/get", name="x"),
        mlflow.get("registered-models/get"),
        mlflow.patch("registered-models/update", name="x", description="d"),
        mlflow.delete("registered-models/delete", name="x"),
        mlflow.delete("registered-models/delete"),
        mlflow.post("registered-models/get-latest-versions", name="x"),
        mlflow.post("registered-models/rename", name="x", new_name="y"),
        mlflow.post("registered-models/set-tag", name="x", key="k", value="v"),
        mlflow.delete("registered-models/delete-tag", name="x", key="k"),
        mlflow.post("registered-models/alias", name="x", alias="a", version="1"),
        mlflow.get("registered-models/alias", name="x", alias="a"),
        mlflow.post("model-versions/create", name="x"),
    ]
    assert {code_of(answer, 404) for answer in answers} == {MISSING}


def test_a_description_is_changed(mlflow: Mlflow) -> None:
    mlflow.model(description="old")
    changed = mlflow.ok("PATCH", "registered-models/update", name="m", description="new")["registered_model"]
    assert changed["description"] == "new"
    assert mlflow.ok("GET", "registered-models/get", name="m")["registered_model"]["description"] == "new"


def test_a_deleted_model_is_gone_with_everything(mlflow: Mlflow) -> None:
    mlflow.model()
    version = mlflow.version()
    url = mlflow.file(version["version"], "f")
    assert mlflow.client.put(url, content=b"x").status_code == 201
    assert mlflow.ok("DELETE", "registered-models/delete", name="m") == {}
    assert mlflow.client.get(url).status_code == 404
    assert mlflow.client.get(f"/projects/{mlflow.project}/packages").json() == []
    assert code_of(mlflow.get("runs/get", run_id=version["run_id"]), 404) == MISSING
    assert mlflow.model()["name"] == "m"


def test_deleting_a_model_leaves_the_runs_that_were_promoted(mlflow: Mlflow) -> None:
    mlflow.model()
    run = mlflow.run(mlflow.experiment())
    url = mlflow.file("candidate:1", "f")
    mlflow.client.put(url, content=b"x")
    mlflow.version(run_id=run)
    mlflow.ok("DELETE", "registered-models/delete", name="m")
    assert mlflow.show_run(run)["info"]["artifact_uri"] == f"mlflow-artifacts:/projects/{mlflow.project}/candidate:1"
    assert mlflow.client.get(url).content == b"x"
    (package,) = mlflow.client.get(f"/projects/{mlflow.project}/packages").json()
    assert (package["name"], package["version"]) == ("ml_experiment_2", "candidate_1")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, ["a1", "a2", "b"]),
        ("name='a1'", ["a1"]),
        ("name = 'a1'", ["a1"]),
        ("name LIKE 'a%'", ["a1", "a2"]),
        ("name ilike 'A%'", ["a1", "a2"]),
        ("name != 'a1'", ["a2", "b"]),
        ("name IN ('a1', 'b')", ["a1", "b"]),
        (f"{PROMPT} != 'true'", ["a1", "a2", "b"]),
        (f"{PROMPT} = 'false'", ["a1", "a2", "b"]),
        (f"name='a1' AND {PROMPT} != 'true'", ["a1"]),
        (f"{PROMPT} = 'true'", ["prompt"]),
        ("tags.team = 'x'", ["a1"]),
        ("tags.team != 'x'", ["b"]),
        ("tags.team = 'x' AND tags.other = 'z'", []),
    ],
)
def test_a_search_is_narrowed_by_a_filter(mlflow: Mlflow, text: str | None, names: list[str]) -> None:
    tags = {"a1": {"team": "x"}, "a2": {}, "b": {"team": "y"}, "prompt": {"mlflow.prompt.is_prompt": "true"}}
    for name in ("b", "a1", "a2", "prompt"):
        mlflow.model(name, tags=[{"key": key, "value": value} for key, value in tags[name].items()])
    query = {"filter": text} if text is not None else {}
    found = mlflow.ok("GET", "registered-models/search", **query)["registered_models"]
    assert [model["name"] for model in found] == names


def test_a_search_is_ordered_and_read_page_by_page(mlflow: Mlflow) -> None:
    for name in "bca":
        mlflow.model(name)
    names, token = [], None
    for _ in range(2):
        query = {"order_by": "name DESC", "max_results": 2} | ({"page_token": token} if token else {})
        page = mlflow.ok("GET", "registered-models/search", **query)
        names += [model["name"] for model in page["registered_models"]]
        token = page["next_page_token"]
    assert (names, token) == (["c", "b", "a"], None)
    url = "registered-models/search?order_by=timestamp+ASC&order_by=name"
    found = mlflow.send("GET", url).json()["registered_models"]
    assert [model["name"] for model in found] == ["b", "c", "a"]


def test_the_latest_version_is_the_highest(mlflow: Mlflow) -> None:
    mlflow.model()
    ask = "registered-models/get-latest-versions"
    assert mlflow.ok("POST", ask, name="m") == {"model_versions": []}
    high, low = mlflow.version(version="1.10.0"), mlflow.version(version="1.9.0")
    assert [v["version"] for v in mlflow.ok("POST", ask, name="m")["model_versions"]] == [high["version"]]
    for stages, expected in (
        (["1.9.0"], [low]),
        ([low["version"]], [low]),
        (["1.8.0"], []),
        (["Production"], []),
        (["none"], [high]),
    ):
        found = mlflow.ok("POST", ask, name="m", stages=stages)["model_versions"]
        assert [v["version"] for v in found] == [v["version"] for v in expected]
    assert len(mlflow.send("GET", f"{ask}?name=m&stages=1.9.0&stages=1.10.0").json()["model_versions"]) == 2


def test_the_latest_versions_are_the_highest_of_each_stage(mlflow: Mlflow) -> None:
    mlflow.model()
    ask = "registered-models/get-latest-versions"
    stages = {"1.0.0": "Production", "1.2.0": "Production", "1.1.0": "Staging", "1.3.0": None, "0.9.0": None}
    ids = {mlflow.version(version=text)["version"]: text for text in stages}
    for id_, text in ids.items():
        if stages[text]:
            mlflow.ok("POST", "model-versions/transition-stage", name="m", version=id_, stage=stages[text])

    def latest(method: str = "POST", **wanted: object) -> list[str]:
        return [ids[version["version"]] for version in mlflow.ok(method, ask, name="m", **wanted)["model_versions"]]

    assert latest() == latest("GET") == latest(stages=[]) == ["1.2.0", "1.1.0", "1.3.0"]
    shown = mlflow.ok("GET", "registered-models/get", name="m")["registered_model"]["latest_versions"]
    assert shown == mlflow.ok("POST", ask, name="m")["model_versions"]
    assert latest(stages=["production", "STAGING"]) == ["1.2.0", "1.1.0"]
    assert latest(stages=["Archived"]) == []
    assert latest(stages=["Staging", "staging", "1.1.0", "1.0.0"]) == ["1.1.0", "1.0.0"]  # each of them once
    refused = mlflow.post(ask, name="m", stages=["Production", "nonsense"])
    assert code_of(refused, 400) == INVALID
    assert "must be one of None, Staging, Production, Archived" in refused.json()["message"]


def test_the_latest_version_has_an_alias_that_nobody_sets(mlflow: Mlflow) -> None:
    mlflow.model()
    missing = mlflow.get("registered-models/alias", name="m", alias="latest")
    assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    mlflow.version(version="2.0.0")
    mlflow.version(version="1.0.0")
    for alias in ("latest", "Latest"):
        found = mlflow.ok("GET", "registered-models/alias", name="m", alias=alias)["model_version"]
        assert found["aliases"] == ["2.0.0"]


def test_models_are_ordered_by_their_last_change(mlflow: Mlflow) -> None:
    for name in "ab":
        mlflow.model(name)
    time.sleep(0.01)
    mlflow.ok("PATCH", "registered-models/update", name="a", description="d")
    found = mlflow.ok("GET", "registered-models/search", order_by="timestamp DESC")["registered_models"]
    assert [model["name"] for model in found] == ["a", "b"]


def test_an_alias_names_one_version_at_a_time(mlflow: Mlflow) -> None:
    mlflow.model()
    first, second = mlflow.version(), mlflow.version()
    for version in (first["version"], "1.0.1"):
        assert mlflow.ok("POST", "registered-models/alias", name="m", alias="champion", version=version) == {}
    found = mlflow.ok("GET", "registered-models/alias", name="m", alias="champion")["model_version"]
    assert (found["version"], found["aliases"]) == (second["version"], ["1.0.1", "champion"])
    shown = mlflow.ok("GET", "registered-models/get", name="m")["registered_model"]
    assert shown["aliases"] == [{"alias": "champion", "version": second["version"]}]
    assert mlflow.ok("DELETE", "registered-models/alias", name="m", alias="champion") == {}
    assert code_of(mlflow.get("registered-models/alias", name="m", alias="champion"), 404) == MISSING
    assert mlflow.delete("registered-models/alias", name="m", alias="champion").status_code == 200


def test_every_semantic_version_is_an_alias(mlflow: Mlflow) -> None:
    mlflow.model()
    version = mlflow.version()["version"]
    found = mlflow.ok("GET", "registered-models/alias", name="m", alias="1.0.0")["model_version"]
    assert found["version"] == version


@pytest.mark.parametrize("alias", ["", "latest", "LATEST", "v1", "V22", "a b", "1.0.0", "a\n", "a" * 256])
def test_aliases_follow_mlflows_rule(mlflow: Mlflow, alias: str) -> None:
    mlflow.model()
    version = mlflow.version()["version"]
    answer = mlflow.post("registered-models/alias", name="m", alias=alias, version=version)
    assert code_of(answer, 400) == INVALID


def test_an_alias_needs_a_version_of_its_model(mlflow: Mlflow) -> None:
    mlflow.model("m")
    mlflow.model("other")
    foreign = mlflow.version("other")["version"]
    for version in (foreign, "9.9.9", "x"):
        answer = mlflow.post("registered-models/alias", name="m", alias="a", version=version)
        assert code_of(answer, 404) == MISSING


def test_a_model_is_renamed_with_its_packages(mlflow: Mlflow) -> None:
    mlflow.model("old")
    mlflow.model("taken")
    version = mlflow.version("old")["version"]
    renamed = mlflow.ok("POST", "registered-models/rename", name="old", new_name="new")["registered_model"]
    assert renamed["name"] == "new"
    assert mlflow.get("registered-models/get", name="old").status_code == 404
    assert mlflow.ok("GET", "model-versions/get", name="new", version=version)["model_version"]["name"] == "new"
    assert mlflow.get("experiments/get-by-name", experiment_name="[model]new").status_code == 200
    packages = mlflow.client.get(f"/projects/{mlflow.project}/packages").json()
    assert [package["name"] for package in packages] == ["new"]
    assert code_of(mlflow.post("registered-models/rename", name="new", new_name="taken"), 400) == TAKEN
    assert code_of(mlflow.post("registered-models/rename", name="new", new_name="a/b"), 400) == INVALID
    assert mlflow.post("registered-models/rename", name="new", new_name="new").status_code == 200


def test_a_models_tags_are_set_and_deleted(mlflow: Mlflow) -> None:
    mlflow.model()
    for value in ("1", "v" * 100_000):
        assert mlflow.ok("POST", "registered-models/set-tag", name="m", key="k", value=value) == {}
    shown = mlflow.ok("GET", "registered-models/get", name="m")["registered_model"]
    assert shown["tags"] == [{"key": "k", "value": "v" * 100_000}]
    for _ in range(2):
        assert mlflow.ok("DELETE", "registered-models/delete-tag", name="m", key="k") == {}
    assert mlflow.ok("GET", "registered-models/get", name="m")["registered_model"]["tags"] == []
