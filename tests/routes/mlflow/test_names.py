"""Names of models, experiments, aliases and keys: as MLflow has them, wherever they are written and asked for."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.databases import execute
from tests.live import LiveServer
from tests.routes.mlflow.conftest import Mlflow, code_of

MISSING, TAKEN, INVALID = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE"
NAMES = (
    *("a b", "küche", "+ & ( ,", " lead", "tail ", "it's", 'a "b"', "100%", "a%2Fb", "#?", "a\\b", "*", "[model]x"),
    *("m" * 300, "ü" * 500, "👩\u200d🔬", "\uff41\uff0f\uff42", "a@b", "latest", "1", "m-1"),
)
REFUSED = (
    "team/model",
    "a:b",
    "/",
    "a/",
    "",
    " ",
    ".",
    "..",
    "a\nb",
    "a\tb",
    "\x7f",
    "a\u2028b",
    "a\u202eb",
    "m" * 501,
)
SLASHED = "Invalid model name 'team/model'. Names cannot contain '/' or ':'."


def quoted(name: str) -> str:
    """A name as a text of MLflow's search language."""
    return "'" + name.replace("'", "''") + "'"


@pytest.fixture
def old(mlflow: Mlflow, server: LiveServer) -> Mlflow:
    """With a model that was named `team/model` when names could have slashes."""
    mlflow.model("renamed below")
    mlflow.version("renamed below")
    execute(server.settings.data_dir, "UPDATE models SET name = 'team/model' WHERE name = 'renamed below'")
    execute(server.settings.data_dir, "UPDATE packages SET name = 'team/model' WHERE name = 'renamed below'")
    statement = "UPDATE experiments SET name = '[model]team/model' WHERE name = '[model]renamed below'"
    execute(server.settings.data_dir, statement)
    return mlflow


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_any_printable_name_is_made_versioned_found_and_deleted(mlflow: Mlflow, name: str) -> None:
    assert mlflow.model(name)["name"] == name
    assert code_of(mlflow.post("registered-models/create", name=name), 400) == TAKEN
    version = mlflow.version(name)
    file = mlflow.file(version["version"], "f")
    assert mlflow.client.put(file, content=b"x").status_code == 201
    copied = mlflow.version(name, source=f"models:/{name}/{version['version']}")
    assert mlflow.client.get(mlflow.file(copied["version"], "f")).content == b"x"
    mlflow.ok("POST", "registered-models/alias", name=name, alias="best", version=version["version"])
    by_alias = mlflow.ok("GET", "registered-models/alias", name=name, alias="best")["model_version"]
    assert (by_alias["name"], by_alias["version"]) == (name, version["version"])
    mlflow.ok("POST", "registered-models/set-tag", name=name, key="k", value="v")
    mlflow.ok("POST", "model-versions/set-tag", name=name, version="1.0.0", key="k", value="v")
    shown = mlflow.ok("GET", "registered-models/get", name=name)["registered_model"]
    assert (shown["name"], shown["tags"]) == (name, [{"key": "k", "value": "v"}])
    for text in (f"name = {quoted(name)}", f"name ILIKE {quoted(name)}", f"name IN ({quoted(name)}, 'x')"):
        (found,) = mlflow.ok("GET", "registered-models/search", filter=text)["registered_models"]
        assert found["name"] == name
    versions = mlflow.ok("GET", "model-versions/search", filter=f"name = {quoted(name)}")["model_versions"]
    assert {each["name"] for each in versions} == {name}
    assert mlflow.ok("DELETE", "registered-models/delete", name=name) == {}
    assert code_of(mlflow.get("registered-models/get", name=name), 404) == MISSING


@pytest.mark.parametrize("name", NAMES)
def test_any_printable_name_is_that_of_the_packages_and_of_the_audit_trail(mlflow: Mlflow, name: str) -> None:
    mlflow.model("before")
    mlflow.version("before")
    assert (
        mlflow.ok("POST", "registered-models/rename", name="before", new_name=name)["registered_model"]["name"] == name
    )
    packages = f"/projects/{mlflow.project}/packages"
    for query in ({}, {"package_name": name}):
        (package,) = mlflow.client.get(packages, params=query).json()
        assert package["name"] == name
    assert mlflow.client.get(f"{packages}/{package['id']}").json()["name"] == name
    events = mlflow.client.get(f"/projects/{mlflow.project}/audit_events").json()
    (told,) = [event for event in events if event["details"].get("change") == "name"]
    assert (told["details"]["from"], told["details"]["to"]) == ("before", name)
    assert mlflow.get("experiments/get-by-name", experiment_name=f"[model]{name}").status_code == 200


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_no_uri_can_hold_is_refused_for_models_that_are_made_or_renamed(mlflow: Mlflow, name: str) -> None:
    mlflow.model()
    made, renamed = (
        mlflow.post("registered-models/create", name=name),
        mlflow.post("registered-models/rename", name="m", new_name=name),
    )
    assert (code_of(made, 400), code_of(renamed, 400)) == (INVALID, INVALID)
    assert made.json()["message"] == renamed.json()["message"]
    assert [m["name"] for m in mlflow.ok("GET", "registered-models/search")["registered_models"]] == ["m"]


def test_a_slash_in_a_new_name_is_refused_in_mlflows_words(mlflow: Mlflow) -> None:
    assert mlflow.post("registered-models/create", name="team/model").json()["message"] == SLASHED


def test_a_model_whose_old_name_has_a_slash_stays_reachable(old: Mlflow) -> None:
    (found,) = old.ok("GET", "registered-models/search", filter="name = 'team/model'")["registered_models"]
    assert found == old.ok("GET", "registered-models/get", name="team/model")["registered_model"]
    # What clients do before they add a version to a model that may be there: they go on with this code alone.
    assert code_of(old.post("registered-models/create", name="team/model"), 400) == TAKEN
    first = found["latest_versions"][0]
    assert old.client.put(old.file(first["version"], "f"), content=b"x").status_code == 201
    second = old.version("team/model", source="models:/team/model/1.0.0")
    assert old.client.get(old.file(second["version"], "f")).content == b"x"
    old.ok("POST", "registered-models/alias", name="team/model", alias="best", version=first["version"])
    assert old.get("registered-models/alias", name="team/model", alias="best").status_code == 200
    assert old.post("registered-models/rename", name="team/model", new_name="team/model").status_code == 200
    again = old.post("registered-models/rename", name="team/model", new_name="team/other")
    assert again.json()["message"] == SLASHED.replace("team/model", "team/other")
    renamed = old.ok("POST", "registered-models/rename", name="team/model", new_name="team model")["registered_model"]
    assert [version["name"] for version in renamed["latest_versions"]] == ["team model"]


def test_a_model_whose_old_name_has_a_slash_is_deleted(old: Mlflow) -> None:
    assert old.ok("DELETE", "registered-models/delete", name="team/model") == {}
    assert code_of(old.post("registered-models/create", name="team/model"), 400) == INVALID


@pytest.mark.parametrize("text", ["KÜCHE", "küche", "Küche"])
def test_case_is_that_of_all_letters(mlflow: Mlflow, text: str) -> None:
    for name in ("KÜCHE", "küche", "kuche"):
        mlflow.model(name)

    def found(operator: str) -> list[str]:
        models = mlflow.ok("GET", "registered-models/search", filter=f"name {operator} '{text}'")["registered_models"]
        return [model["name"] for model in models]

    assert found("ILIKE") == ["KÜCHE", "küche"]
    assert found("LIKE") == [name for name in ("KÜCHE", "küche") if name == text]


@pytest.mark.parametrize("alias", ["prüfung", "é", "a-b_c", "1", "a" * 255])
def test_an_alias_may_have_any_letters(mlflow: Mlflow, alias: str) -> None:
    mlflow.model("küche")
    version = mlflow.version("küche")["version"]
    assert mlflow.ok("POST", "registered-models/alias", name="küche", alias=alias, version=version) == {}
    found = mlflow.ok("GET", "registered-models/alias", name="küche", alias=alias)["model_version"]
    assert alias in found["aliases"]
    assert mlflow.ok("DELETE", "registered-models/alias", name="küche", alias=alias) == {}


@pytest.mark.parametrize("name", ["a b", "ü + & ( ,", "a/b:c", "a\\b", "100%", "n" * 500, "it's"])
def test_experiments_and_logged_models_have_such_names_too(mlflow: Mlflow, name: str) -> None:
    experiment = mlflow.experiment(name)
    assert (
        mlflow.ok("GET", "experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"] == experiment
    )
    (found,) = mlflow.ok("POST", "experiments/search", filter=f"name = {quoted(name)}")["experiments"]
    assert found["experiment_id"] == experiment
    logged = mlflow.logged_model(experiment_id=experiment, name=name)["info"]
    asked: dict[str, Any] = {"experiment_ids": [experiment], "filter": f"name = {quoted(name)}"}
    (model,) = mlflow.ok("POST", "logged-models/search", **asked)["models"]
    assert (model["info"]["name"], model["info"]["model_id"]) == (name, logged["model_id"])


@pytest.mark.parametrize("key", ["a b", "ü", "+&(,", "a/b", "a:b", "a.b", "k" * 250])
def test_a_tag_of_any_key_is_set_found_and_deleted(mlflow: Mlflow, key: str) -> None:
    mlflow.model("a b")
    version = mlflow.version("a b")["version"]
    mlflow.ok("POST", "registered-models/set-tag", name="a b", key=key, value="v")
    mlflow.ok("POST", "model-versions/set-tag", name="a b", version=version, key=key, value="v")
    found = mlflow.ok("GET", "registered-models/search", filter=f"tags.`{key}` = 'v'")["registered_models"]
    assert [model["name"] for model in found] == ["a b"]
    assert mlflow.ok("DELETE", "registered-models/delete-tag", name="a b", key=key) == {}
    assert mlflow.ok("DELETE", "model-versions/delete-tag", name="a b", version=version, key=key) == {}
    assert mlflow.ok("GET", "registered-models/get", name="a b")["registered_model"]["tags"] == []


def test_a_name_may_come_in_any_form_of_parameters(mlflow: Mlflow, root: httpx2.Client) -> None:
    base, name = f"{mlflow.root}/api/2.0/mlflow/registered-models", "+ & ü"
    assert root.post(f"{base}/create", data={"name": name}).json()["registered_model"]["name"] == name
    for query in ("%2B%20%26%20%C3%BC", "%2B+%26+%C3%BC"):
        assert root.get(f"{base}/get?name={query}").json()["registered_model"]["name"] == name
