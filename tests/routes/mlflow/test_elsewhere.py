"""A version whose source is not on this server leads there, until files are uploaded to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.routes.mlflow.conftest import Mlflow

PLACES = [
    "s3://bucket/model",
    "S3://bucket/a%20b?versionId=1",
    "gs://bucket/model",
    "wasbs://container@account.blob.core.windows.net/model",
    "dbfs:/databricks/model",
    "hdfs://namenode/model",
    "file:///tmp/model",
    "/tmp/model",
    "models/relative",
    "C:\\models\\m",
    "http://other.example.com/model",
    "http://other.example.com/api/v4/projects/1/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/candidate:1/model",
    "mlflow-artifacts://other.example.com/1/model",
]


@pytest.fixture
def api(mlflow: Mlflow) -> Mlflow:
    mlflow.model()
    return mlflow


def download_uri(api: Mlflow, version: dict[str, Any]) -> str:
    body = {"name": version["name"], "version": version["version"]}
    return str(api.ok("GET", "model-versions/get-download-uri", **body)["artifact_uri"])


def own_uri(api: Mlflow, version: dict[str, Any]) -> str:
    return f"mlflow-artifacts:/projects/{api.project}/{version['version']}"


def upload(api: Mlflow, version: dict[str, Any], name: str = "f") -> None:
    assert api.client.put(api.file(version["version"], name), content=b"here").status_code == 201


@pytest.mark.parametrize("source", PLACES)
def test_a_version_leads_to_its_source(api: Mlflow, source: str) -> None:
    version = api.version(source=source)
    assert (version["source"], download_uri(api, version)) == (source, source)
    assert version["status_message"] == f"The files are not on this server, but at {source}"
    assert version["status"] == "READY"


@pytest.mark.parametrize("source", PLACES)
def test_a_copy_leads_there_too_whatever_becomes_of_the_first(api: Mlflow, source: str) -> None:
    first = api.version(source=source, run_id="foreign")
    copies = [
        api.version(source=f"models:/m/{first['version']}", run_id="foreign"),
        api.version(source=f"mlflow-artifacts:/{first['version']}"),
    ]
    copies.append(api.version(source=f"models:/m/{copies[0]['version']}"))
    api.ok("DELETE", "model-versions/delete", name="m", version=first["version"])
    assert copies[0]["source"] == f"models:/m/{first['version']}"
    for copy in copies:
        assert download_uri(api, copy) == source
        assert copy["status_message"] == f"The files are not on this server, but at {source}"


def told(api: Mlflow, version: dict[str, Any]) -> list[str]:
    """What is said of a version wherever it is shown."""
    named = {"name": "m", "version": version["version"]}
    api.ok("POST", "registered-models/alias", alias="a", **named)
    shown = [
        api.ok("GET", "model-versions/get", **named)["model_version"],
        api.ok("PATCH", "model-versions/update", **named)["model_version"],
        api.ok("GET", "registered-models/alias", name="m", alias="a")["model_version"],
        api.ok("GET", "registered-models/get", name="m")["registered_model"]["latest_versions"][0],
        *api.ok("GET", "registered-models/get-latest-versions", name="m")["model_versions"],
        api.ok("GET", "registered-models/search")["registered_models"][0]["latest_versions"][0],
        api.ok("GET", "model-versions/search", order_by="version_number DESC")["model_versions"][0],
    ]
    assert {each["version"] for each in shown} == {version["version"]}
    return [each["status_message"] for each in shown]


def test_it_is_said_for_as_long_as_it_is_so(api: Mlflow) -> None:
    first = api.version(source="s3://bucket/model")
    copy = api.version(source=f"models:/m/{first['version']}")
    assert told(api, copy) == ["The files are not on this server, but at s3://bucket/model"] * 7
    upload(api, copy)
    assert told(api, copy) == [""] * 7


def test_what_waits_for_files_here_is_not_said_to_have_them_elsewhere(api: Mlflow) -> None:
    run = api.run()
    place = f"mlflow-artifacts://{api.server.removeprefix('http://')}/projects/{api.project}/candidate:1/m"
    version = api.version(source=place, run_id=run)
    assert version["status_message"] == "There are no files at the source yet"
    assert told(api, version) == [""] * 7


def test_a_copy_in_another_project_leads_there_too(api: Mlflow, make_project: Callable[..., dict[str, Any]]) -> None:
    first = api.version(source="s3://bucket/model/")
    other = Mlflow(api.client, make_project()["id"])
    other.model()
    assert download_uri(other, other.version(source=f"models:/m/{first['version']}")) == "s3://bucket/model/"
    part = other.version(source=f"mlflow-artifacts:/projects/{api.project}/{first['version']}/data")
    assert download_uri(other, part) == "s3://bucket/model/data"


def test_files_that_are_uploaded_win(api: Mlflow) -> None:
    first = api.version(source="s3://bucket/model")
    copy = api.version(source=f"models:/m/{first['version']}")
    upload(api, first)
    assert download_uri(api, first) == own_uri(api, first)
    assert download_uri(api, copy) == own_uri(api, copy)
    assert api.listing(copy["version"]) == api.listing(first["version"]) != []
    late = api.version(source=f"models:/m/{first['version']}")
    assert (download_uri(api, late), late["status_message"]) == (own_uri(api, late), "")
    assert api.artifact("DELETE", f"{first['version']}/f").status_code == 200
    assert download_uri(api, first) == "s3://bucket/model"
    assert download_uri(api, copy) == own_uri(api, copy)


@pytest.mark.parametrize("source", ["", "1.2.3", "dummy-source", "v:1", "möbel"])
def test_a_word_is_no_place(api: Mlflow, source: str) -> None:
    version = api.version(source=source)
    assert (download_uri(api, version), version["status_message"]) == (own_uri(api, version), "")


@pytest.mark.parametrize("form", ["runs:/{run}/none", "mlflow-artifacts:/candidate:1/none", "models:/{logged}"])
def test_a_source_here_without_files_is_said_to_have_none(api: Mlflow, form: str) -> None:
    run = api.run()
    logged = api.logged_model(source_run_id=run)["info"]["model_id"]
    version = api.version(source=form.format(run=run, logged=logged), run_id=run)
    assert version["status_message"] == "There are no files at the source yet"
    assert download_uri(api, version) == own_uri(api, version)


def test_a_logged_model_that_is_named_beside_a_place_elsewhere_lends_its_files(api: Mlflow) -> None:
    model_id = api.logged_model()["info"]["model_id"]
    assert api.artifact("PUT", f"models/{model_id}/MLmodel", content=b"x").status_code == 200
    version = api.version(source="s3://bucket/model", model_id=model_id)
    assert (download_uri(api, version), version["status_message"]) == (own_uri(api, version), "")
    assert [child["path"] for child in api.listing(version["version"])] == ["MLmodel"]


def test_the_place_of_a_version_is_for_whoever_sees_its_project(api: Mlflow, make_user: Any) -> None:
    version = api.version(source="s3://bucket/model")
    stranger = Mlflow(make_user().client, api.project)
    assert stranger.get("model-versions/get-download-uri", name="m", version=version["version"]).status_code == 404
