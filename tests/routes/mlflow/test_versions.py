"""Model versions: making them from nothing, runs, logged models and versions; finding, changing and deleting them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.routes.mlflow.conftest import Mlflow, code_of

MISSING, INVALID = "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"


@pytest.fixture
def api(mlflow: Mlflow) -> Mlflow:
    mlflow.model()
    return mlflow


def content(api: Mlflow, version: dict[str, Any], name: str) -> bytes:
    answer = api.client.get(api.file(version["version"], name))
    assert answer.status_code == 200, answer.text
    return answer.content


def test_the_first_version(api: Mlflow) -> None:
    version = api.version()
    assert (version["aliases"], version["status"], version["current_stage"]) == (["1.0.0"], "READY", "None")
    assert version["source"] == f"mlflow-artifacts:/projects/{api.project}/{version['version']}"
    run = api.show_run(version["run_id"])
    assert run["info"]["artifact_uri"] == version["source"]
    api.ok("POST", "runs/log-metric", run_id=version["run_id"], key="m", value=1, timestamp=1)


def test_versions_count_on(api: Mlflow) -> None:
    assert [api.version(version=v)["aliases"] for v in (None, None, "1.2.3", None)] == [
        ["1.0.0"],
        ["1.0.1"],
        ["1.2.3"],
        ["1.2.4"],
    ]


@pytest.mark.parametrize("wrong", ["1.2.3", "abc", "v1.0.0", "1.0"])
def test_a_version_that_is_taken_or_none_is_refused(api: Mlflow, wrong: str) -> None:
    assert api.version(version="1.2.3")["tags"] == [{"key": "gitlab.version", "value": "1.2.3"}]
    tags = [{"key": "gitlab.version", "value": wrong}]
    assert code_of(api.post("model-versions/create", name="m", tags=tags), 400) == INVALID


@pytest.mark.parametrize(
    "source",
    [
        "",
        "1.2.3",
        "dummy-source",
        "s3://bucket/model",
        "/tmp/x",
        "file:///x",
        "http://h/x",
        "http://[x",
        "//[",
        "a://]b[/c",
    ],
)
def test_a_source_elsewhere_is_kept_as_text(api: Mlflow, source: str) -> None:
    version = api.version(source=source, run_id="0" * 32 if source else None)
    assert version["source"] == source or not source
    assert version["run_id"] == "0" * 32 or not source
    assert api.listing(version["version"]) == []


@pytest.mark.parametrize(
    "form",
    [
        "runs:/{run}/model",
        "runs:/{run}/model/",
        "mlflow-artifacts:/candidate:1/model",
        "mlflow-artifacts:/candidate%3A1/model",
        "mlflow-artifacts:/projects/{project}/candidate:1/model",
        "{server}/api/v4/projects/{project}/packages/ml_models/candidate:1/files/model",
        "{server}/api/v4/projects/{project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/candidate:1/model",
    ],
)
def test_a_version_from_a_runs_directory_has_its_files_at_the_top(api: Mlflow, form: str) -> None:
    run = api.run(api.experiment())
    for name, body in (("model/MLmodel", b"1"), ("model/a%20b/x", b"2"), ("models", b"3"), ("other/y", b"4")):
        assert api.client.put(api.file("candidate:1", name), content=body).status_code == 201
    api.client.put(api.file("candidate:1", "model/MLmodel"), content=b"newer")
    version = api.version(source=form.format(run=run, project=api.project, server=api.server), run_id=run)
    assert version["run_id"] == run
    assert content(api, version, "MLmodel") == b"newer"
    assert content(api, version, "a%20b/x") == b"2"
    assert [child["path"] for child in api.listing(version["version"])] == ["MLmodel", "a b"]
    api.client.put(api.file("candidate:1", "model/MLmodel"), content=b"later")
    assert content(api, version, "MLmodel") == b"later"
    assert api.show_run(run)["info"]["artifact_uri"] == f"mlflow-artifacts:/projects/{api.project}/candidate:1"


@pytest.mark.parametrize("source", ["", "runs:/{run}", "mlflow-artifacts:/candidate:1", "runs:/{run}/"])
def test_a_run_as_a_whole_is_promoted(api: Mlflow, source: str) -> None:
    run = api.run(api.experiment())
    api.client.put(api.file("candidate:1", "f"), content=b"x")
    version = api.version(source=source.format(run=run), run_id=run)
    assert version["run_id"] == run
    api.client.put(api.file(version["version"], "g"), content=b"y")
    assert api.client.get(api.file("candidate:1", "g")).content == b"y"
    assert content(api, version, "f") == b"x"
    again = api.post("model-versions/create", name="m", run_id=run)
    assert code_of(again, 400) == INVALID


@pytest.mark.parametrize("form", ["{before}", "{before}/", "{after}", "{after}/", "runs:/{run}"])
@pytest.mark.parametrize("model", ["m", "other"])
def test_a_promoted_run_lends_its_files_to_further_versions(api: Mlflow, form: str, model: str) -> None:
    run = api.run(api.experiment())
    before = api.show_run(run)["info"]["artifact_uri"]
    api.client.put(api.file("candidate:1", "f"), content=b"x")
    first = api.version(run_id=run, source=before)
    if model != "m":
        api.model(model)
    source = form.format(before=before, after=api.show_run(run)["info"]["artifact_uri"], run=run)
    second = api.version(model, run_id=run, source=source)
    assert (second["run_id"], second["source"]) == (run, source)
    assert second["version"] != first["version"]
    assert content(api, second, "f") == b"x"
    api.client.put(api.file(second["version"], "f"), content=b"y")
    assert content(api, first, "f") == b"x"  # a version of its own
    api.ok("DELETE", "model-versions/delete", name="m", version=first["version"])
    assert content(api, second, "f") == b"y"


@pytest.mark.parametrize("form", ["runs:/{run}", "runs:/{run}/dir", "mlflow-artifacts:/candidate:1"])
@pytest.mark.parametrize("named", [True, False])
def test_a_deleted_run_lends_its_files_and_is_not_promoted(api: Mlflow, form: str, named: bool) -> None:
    run = api.run(api.experiment())
    for name in ("f", "dir/f"):
        api.client.put(api.file("candidate:1", name), content=b"x")
    api.ok("POST", "runs/delete", run_id=run)
    version = api.version(source=form.format(run=run), **({"run_id": run} if named else {}))
    assert content(api, version, "f") == b"x"
    assert api.show_run(run)["info"]["artifact_uri"] == f"mlflow-artifacts:/projects/{api.project}/candidate:1"
    api.ok("POST", "runs/restore", run_id=run)
    assert api.version(run_id=run)["run_id"] == run


@pytest.mark.parametrize("form", ["models:/{id}", "mlflow-artifacts:/models/{id}", "models:/{id}/", "s3://elsewhere"])
def test_a_version_from_a_logged_model_points_at_its_blobs(api: Mlflow, form: str) -> None:
    model_id = api.logged_model()["info"]["model_id"]
    assert api.artifact("PUT", f"models/{model_id}/MLmodel", content=b"x").status_code == 200
    version = api.version(source=form.format(id=model_id), model_id=model_id)
    assert version["model_id"] == model_id
    assert content(api, version, "MLmodel") == b"x"
    api.ok("DELETE", f"logged-models/{model_id}")
    assert content(api, version, "MLmodel") == b"x"


@pytest.mark.parametrize("form", ["models:/m/{id}", "models:/m/1.0.0", "mlflow-artifacts:/{id}"])
def test_a_version_is_copied_without_its_bytes(api: Mlflow, form: str) -> None:
    first = api.version()
    api.client.put(api.file(first["version"], "dir/f"), content=b"x")
    api.model("copy")
    assert content(api, api.version("copy", source=form.format(id=first["version"])), "dir/f") == b"x"


@pytest.mark.parametrize(
    "source",
    [
        "runs:/nonsense/model",
        f"models:/m-{'0' * 32}",
        "models:/m/9.9.9",
        "models:/unknown/1",
        "mlflow-artifacts:/candidate:99/x",
        "mlflow-artifacts:/999999/x",
        f"mlflow-artifacts:/models/m-{'0' * 32}",
    ],
)
def test_a_source_that_is_not_there_is_refused(api: Mlflow, source: str) -> None:
    assert code_of(api.post("model-versions/create", name="m", source=source), 404) == MISSING


@pytest.mark.parametrize("source", ["mlflow-artifacts:/candidate:1/..", "mlflow-artifacts:/candidate:1/%252e"])
def test_a_source_that_is_no_path_is_refused(api: Mlflow, source: str) -> None:
    api.run()
    assert code_of(api.post("model-versions/create", name="m", source=source), 400) == INVALID


def test_a_version_goes_by_its_id_and_its_semantic_version(api: Mlflow) -> None:
    version = api.version(description="d")
    for name in (version["version"], "1.0.0", int(version["version"])):
        assert api.ok("GET", "model-versions/get", name="m", version=name)["model_version"] == version
        uri = api.ok("GET", "model-versions/get-download-uri", name="m", version=name)
        assert uri == {"artifact_uri": f"mlflow-artifacts:/projects/{api.project}/{version['version']}"}


@pytest.mark.parametrize("version", ["999999", "9.9.9", "x", str(2**63), "-1"])
def test_an_unknown_version_does_not_exist(api: Mlflow, version: str) -> None:
    for path in ("model-versions/get", "model-versions/get-download-uri"):
        assert code_of(api.get(path, name="m", version=version), 404) == MISSING


def test_a_version_of_another_model_does_not_exist(api: Mlflow) -> None:
    api.model("other")
    foreign = api.version("other")["version"]
    assert code_of(api.get("model-versions/get", name="m", version=foreign), 404) == MISSING
    assert api.get("model-versions/get", name="m").status_code == 400


def test_a_description_is_changed(api: Mlflow) -> None:
    api.version()
    changed = api.ok("PATCH", "model-versions/update", name="m", version="1.0.0", description="new")
    assert changed["model_version"]["description"] == "new"
    assert code_of(api.patch("model-versions/update", name="m"), 400) == INVALID
    unknown = api.patch("model-versions/update", name="m", version="9.9.9", description="d")
    assert code_of(unknown, 400) == "UPDATE_FAILED"


def test_a_deleted_version_is_gone_with_its_files(api: Mlflow) -> None:
    for name in ("id", "1.0.0"):
        version = api.version(version="1.0.0")
        url = api.file(version["version"], "f")
        assert api.client.put(url, content=b"x").status_code == 201
        wanted = version["version"] if name == "id" else name
        assert api.ok("DELETE", "model-versions/delete", name="m", version=wanted) == {}
        assert api.client.get(url).status_code == 404
        assert code_of(api.get("runs/get", run_id=version["run_id"]), 404) == MISSING
        assert code_of(api.delete("model-versions/delete", name="m", version=wanted), 404) == MISSING
    assert api.client.get(f"/projects/{api.project}/packages").json() == []


def test_versions_move_through_stages(api: Mlflow) -> None:
    first, second = api.version(), api.version()

    def move(version: dict[str, Any], stage: str, archive: bool = False) -> dict[str, Any]:
        body = {"version": version["version"], "stage": stage, "archive_existing_versions": archive}
        return dict(api.ok("POST", "model-versions/transition-stage", name="m", **body)["model_version"])

    assert move(first, "Production")["current_stage"] == "Production"
    assert move(second, "production", archive=True)["current_stage"] == "Production"
    shown = api.ok("GET", "model-versions/get", name="m", version=first["version"])["model_version"]
    assert shown["current_stage"] == "Archived"
    for stage, archive in (("Nowhere", False), ("None", True)):
        body = {"version": "1.0.0", "stage": stage, "archive_existing_versions": archive}
        assert code_of(api.post("model-versions/transition-stage", name="m", **body), 400) == INVALID


def test_a_versions_tags_are_set_and_deleted(api: Mlflow) -> None:
    api.version()
    for value in ("1", "2"):
        api.ok("POST", "model-versions/set-tag", name="m", version="1.0.0", key="k", value=value)
    shown = api.ok("GET", "model-versions/get", name="m", version="1.0.0")["model_version"]
    assert shown["tags"] == [{"key": "k", "value": "2"}]
    api.ok("DELETE", "model-versions/delete-tag", name="m", version="1.0.0", key="k")
    assert api.ok("GET", "model-versions/get", name="m", version="1.0.0")["model_version"]["tags"] == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"filter": "name='m'"}, ["1.0.1", "1.0.0"]),
        ({}, ["2.0.0", "1.0.1", "1.0.0"]),
        ({"filter": "name='m'", "order_by": "version_number ASC"}, ["1.0.0", "1.0.1"]),
        ({"order_by": "version_number DESC"}, ["2.0.0", "1.0.1", "1.0.0"]),
        ({"order_by": ["name DESC", "creation_timestamp ASC"]}, ["2.0.0", "1.0.0", "1.0.1"]),
        ({"filter": "source_path LIKE 's3%'"}, ["1.0.1"]),
        ({"filter": "source_path = 's3://x'"}, ["1.0.1"]),
        ({"filter": "run_id = 'foreign'"}, ["1.0.1"]),
        ({"filter": "run_id IN ('foreign', 'x')"}, ["1.0.1"]),
        ({"filter": "tags.k = 'v'"}, ["1.0.0"]),
        ({"filter": "tags.`gitlab.version` != '2.0.0'"}, ["1.0.1", "1.0.0"]),
        ({"filter": "version_number > 0 and name LIKE 'o%'"}, ["2.0.0"]),
        ({"filter": "version = '1.0.0'"}, ["1.0.0"]),
        ({"filter": "tags.`mlflow.prompt.is_prompt` = 'true'"}, ["3.0.0"]),
    ],
)
def test_versions_are_searched(api: Mlflow, query: dict[str, Any], expected: list[str]) -> None:
    api.model("other")
    api.version(version="1.0.0", tags=[{"key": "k", "value": "v"}])
    api.version(version="1.0.1", source="s3://x", run_id="foreign")
    api.version("other", version="2.0.0")
    api.version("other", version="3.0.0", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])
    found = api.ok("GET", "model-versions/search", **query)["model_versions"]
    assert [version["aliases"][0] for version in found] == expected


def test_a_search_is_read_page_by_page(api: Mlflow) -> None:
    made = [api.version()["version"] for _ in range(5)]
    found, token = [], None
    while True:
        page = api.ok("GET", "model-versions/search", max_results=2, **({"page_token": token} if token else {}))
        found += [version["version"] for version in page["model_versions"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert found == made[::-1]
