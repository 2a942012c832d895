"""A version's source lends the files that it names, wherever they lie on this server, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.conftest import Account
from tests.live import running
from tests.routes.mlflow.conftest import Mlflow, code_of

MISSING, INVALID = "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"
ARTIFACTS = "ml/mlflow/api/2.0/mlflow-artifacts/artifacts"
UNKNOWN = "0" * 32


@pytest.fixture
def tracking(root: httpx2.Client, make_project: Callable[..., dict[str, Any]]) -> Mlflow:
    """Project A, with files of candidate 1."""
    api = Mlflow(root, make_project()["id"])
    api.run()
    for name in ("model/MLmodel", "model/data/weights", "other"):
        assert api.client.put(api.file("candidate:1", name), content=b"A's").status_code == 201
    return api


@pytest.fixture
def registry(mlflow: Mlflow) -> Mlflow:
    """Project B, with a model, and files of its own candidate 1."""
    mlflow.model()
    mlflow.run()
    for name in ("model/MLmodel", "model/only-here"):
        assert mlflow.client.put(mlflow.file("candidate:1", name), content=b"B's").status_code == 201
    return mlflow


def run_of(api: Mlflow) -> str:
    """The id of candidate 1."""
    runs = api.ok("POST", "runs/search", experiment_ids=["0"])["runs"]
    return str(next(run for run in runs if run["info"]["artifact_uri"].endswith("candidate:1"))["info"]["run_id"])


def path_of(api: Mlflow) -> str:
    return str(api.client.get(f"/projects/{api.project}").json()["path_with_namespace"])


def names(api: Mlflow, version: dict[str, Any]) -> list[str]:
    return [child["path"] for child in api.listing(version["version"])]


def content(api: Mlflow, version: dict[str, Any], name: str = "MLmodel") -> bytes:
    answer = api.client.get(api.file(version["version"], name))
    assert answer.status_code == 200, answer.text
    return answer.content


def create(api: Mlflow, source: str, **body: Any) -> httpx2.Response:
    return api.post("model-versions/create", name="m", source=source, **body)


@pytest.mark.parametrize(
    "form",
    [
        "runs:/{run}/model",
        "RUNS:/{run}//model/",
        "mlflow-artifacts:/candidate:1/model",
        "mlflow-artifacts:/projects/{a}/candidate:1/model",
        "mlflow-artifacts:///projects/{a}/candidate%3A1/model/",
        "mlflow-artifacts://{host}/projects/{a}/candidate:1/model",
        "mlflow-artifacts://{host}/candidate:1/model",
        "{server}/api/v4/projects/{a}/packages/ml_models/candidate:1/files/model",
        "{server}/api/v4/projects/{a}/packages/ml_models/candidate:1/files/model/",
        "{server}/api/v4/projects/{encoded}/packages/ml_models/candidate%3a1/files/mod%65l",
        "{server}/api/v4/projects/{a}/{artifacts}/candidate:1/model",
        "{server}//api/v4/projects/{encoded}/{artifacts}/candidate:1//model",
        "{server}/api/v4/projects/{b}/{artifacts}/projects/{a}/candidate:1/model",
        "HTTP://user:secret@{host}/api/v4/projects/{a}/{artifacts}/candidate:1/model?x=y#z",
        "https://{host}/api/v4/projects/{upper}/{artifacts}/candidate:1/model",
    ],
)
def test_a_run_of_another_project_lends_its_own_files(tracking: Mlflow, registry: Mlflow, form: str) -> None:
    run, path = run_of(tracking), path_of(tracking)
    source = form.format(
        run=run,
        server=registry.server,
        host=registry.server.removeprefix("http://"),
        a=tracking.project,
        b=registry.project,
        encoded=path.replace("/", "%2F"),
        upper=path.upper().replace("/", "%2f"),
        artifacts=ARTIFACTS,
    )
    version = registry.version(source=source, run_id=run)
    whole = f"mlflow-artifacts:/projects/{tracking.project}/candidate:1/model"
    kept = source.lower().startswith("runs") or ("projects/" in source and "/packages/" not in source)
    assert (version["source"], version["run_id"]) == (source if kept else whole, run)
    assert names(registry, version) == ["MLmodel", "data"]
    assert content(registry, version) == b"A's"


@pytest.mark.parametrize(
    "form",
    [
        "http://other.example.com/api/v4/projects/{b}/packages/ml_models/candidate:1/files/model",
        "http://other.example.com/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "https://{name}/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "http://{name}:1/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "http://{name}:x/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "http://{host}@other.example.com/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "http://other.example.com/{host}/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "{server}/prefix/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "{server}/api/v4/projects/{b}/packages/generic/candidate:1/files/model",
        "{server}/api/v4/projects/{b}/packages/ml_models/candidate:1/model",
        "{server}/x?/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "s3://bucket/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "ftp://{host}/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "{host}/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "mlflow-artifacts://other.example.com/candidate:1/model",
        "mlflow-artifacts://{name}:1/candidate:1/model",
        "mlflow-artifacts://candidate:1/model",
    ],
)
def test_a_place_on_another_server_lends_nothing(registry: Mlflow, form: str) -> None:
    host = registry.server.removeprefix("http://")
    source = form.format(
        server=registry.server, host=host, name=host.partition(":")[0], b=registry.project, artifacts=ARTIFACTS
    )
    version = registry.version(source=source, run_id=run_of(registry))
    assert (version["source"], names(registry, version)) == (source, [])


@pytest.mark.parametrize(
    ("form", "kept"),
    [
        ("mlflow-artifacts:/candidate:1", "candidate:1"),
        ("mlflow-artifacts:candidate:1/", "candidate:1"),
        ("mlflow-artifacts:///candidate%3A1", "candidate:1"),
        ("mlflow-artifacts:/{version}", "{version}"),
        ("{server}/api/v4/projects/{a}/packages/ml_models/candidate:1/files/", "candidate:1"),
        ("{server}/api/v4/projects/{a}/packages/ml_models/{version}/files/a%20b", "{version}/a%20b"),
    ],
)
def test_a_source_that_clients_cannot_read_from_is_kept_as_one_that_they_can(
    tracking: Mlflow, registry: Mlflow, form: str, kept: str
) -> None:
    tracking.model()
    run = run_of(tracking)
    lent = tracking.version(source=f"runs:/{run}/model", run_id=run)["version"]
    source = form.format(server=tracking.server, a=tracking.project, version=lent)
    version = registry.version(source=source, run_id=run)
    assert version["source"] == f"mlflow-artifacts:/projects/{tracking.project}/{kept.format(version=lent)}"


@pytest.mark.parametrize("run", ["unknown", "other", "invisible"])
@pytest.mark.parametrize(
    "form",
    [
        "mlflow-artifacts:/candidate:1/model",
        "mlflow-artifacts:/projects/{b}/candidate:1/model",
        "{server}/api/v4/projects/{b}/{artifacts}/candidate:1/model",
        "mlflow-artifacts:/{version}",
        "mlflow-artifacts:/models/{logged}",
        "models:/m/{version}",
    ],
)
def test_a_place_that_the_run_does_not_own_is_refused(
    registry: Mlflow, make_user: Callable[..., Account], form: str, run: str
) -> None:
    stranger = make_user()
    theirs = Mlflow(stranger.client, stranger.client.post("/projects", json={"name": "theirs"}).json()["id"])
    runs = {"unknown": UNKNOWN, "other": registry.run(), "invisible": theirs.run()}
    developer = make_user()
    members = f"/projects/{registry.project}/members"
    registry.client.post(members, json={"user_id": developer.id, "access_level": 30})
    source = form.format(
        b=registry.project,
        server=registry.server,
        artifacts=ARTIFACTS,
        version=registry.version()["version"],
        logged=registry.logged_model()["info"]["model_id"],
    )
    as_developer = Mlflow(developer.client, registry.project)
    assert code_of(create(as_developer, source, run_id=runs[run]), 400) == INVALID
    assert len(registry.ok("GET", "model-versions/search")["model_versions"]) == 1


def test_a_run_may_not_own_a_candidate_that_is_not_there(registry: Mlflow) -> None:
    assert code_of(create(registry, "mlflow-artifacts:/candidate:99/model", run_id=run_of(registry)), 400) == INVALID
    assert code_of(create(registry, "mlflow-artifacts:/candidate:99/model"), 404) == MISSING


def test_a_run_lends_only_what_it_is_named_for(registry: Mlflow) -> None:
    assert code_of(create(registry, f"runs:/{run_of(registry)}/model", run_id=registry.run()), 400) == INVALID


@pytest.mark.parametrize("form", ["runs://{run}/model", "models://profile/m/1"])
def test_another_registry_is_refused(registry: Mlflow, form: str) -> None:
    assert code_of(create(registry, form.format(run=run_of(registry))), 400) == INVALID


@pytest.mark.parametrize("form", ["models:/{id}", "models:/{id}/", "mlflow-artifacts:/models/{id}", ""])
def test_a_logged_model_of_another_project_lends_its_files(tracking: Mlflow, registry: Mlflow, form: str) -> None:
    model_id = tracking.logged_model(source_run_id=run_of(tracking))["info"]["model_id"]
    assert tracking.artifact("PUT", f"models/{model_id}/MLmodel", content=b"logged").status_code == 200
    version = registry.version(source=form.format(id=model_id), run_id=run_of(tracking), model_id=model_id)
    if "artifacts" in form:
        assert version["source"] == f"mlflow-artifacts:/projects/{tracking.project}/models/{model_id}"
    assert (version["model_id"], version["run_id"]) == (model_id, run_of(tracking))
    assert content(registry, version) == b"logged"


@pytest.mark.parametrize("form", ["models:/{id}", "runs:/{run}/model", "mlflow-artifacts:/models/{id}"])
def test_another_logged_model_than_the_source_is_refused(registry: Mlflow, form: str) -> None:
    first, second = (registry.logged_model()["info"]["model_id"] for _ in range(2))
    source = form.format(id=first, run=run_of(registry))
    assert code_of(create(registry, source, model_id=second), 400) == INVALID
    assert code_of(create(registry, source, model_id=f"m-{UNKNOWN}"), 404) == MISSING


@pytest.mark.parametrize(
    "form", ["models:/m/{id}", "mlflow-artifacts:/{id}", "mlflow-artifacts:/projects/{a}/{id}", "runs:/{run}"]
)
def test_a_version_of_another_project_lends_its_files(tracking: Mlflow, registry: Mlflow, form: str) -> None:
    tracking.model()
    staged = tracking.version(source=f"runs:/{run_of(tracking)}/model", run_id=run_of(tracking))
    own_run = tracking.ok("GET", "model-versions/get", name="m", version=tracking.version()["version"])
    put = tracking.client.put(tracking.file(own_run["model_version"]["version"], "MLmodel"), content=b"A's")
    assert put.status_code == 201
    chosen = own_run["model_version"] if "{run}" in form else staged
    source = form.format(id=chosen["version"], a=tracking.project, run=chosen["run_id"])
    version = registry.version(source=source, run_id=chosen["run_id"])
    whole = f"mlflow-artifacts:/projects/{tracking.project}/{chosen['version']}"
    assert (version["run_id"], version["source"]) == (chosen["run_id"], source if "{run}" in form else whole)
    assert content(registry, version) == b"A's"
    place = version["source"].removeprefix("mlflow-artifacts:/")
    if "{run}" not in form:
        assert registry.artifact("GET", f"{place}/MLmodel").content == b"A's"


def test_only_its_id_names_a_version_of_another_project(tracking: Mlflow, registry: Mlflow) -> None:
    tracking.model("theirs")
    version = tracking.version("theirs")["version"]
    for source in ("models:/theirs/1.0.0", "models:/theirs/latest", f"models:/m/{version}", f"models:/theirs/{2**62}"):
        assert code_of(create(registry, source), 404) == MISSING


@pytest.mark.parametrize("suffix", ["@best", "@latest", "@1.0.0", "/latest", "/LATEST", "/staging"])
def test_a_source_that_may_move_is_kept_as_the_version_that_it_names(registry: Mlflow, suffix: str) -> None:
    registry.model("from")
    first = registry.version("from")
    registry.client.put(registry.file(first["version"], "MLmodel"), content=b"first")
    registry.ok("POST", "registered-models/alias", name="from", alias="best", version=first["version"])
    registry.ok("POST", "model-versions/transition-stage", name="from", version=first["version"], stage="Staging")
    version = registry.version(source=f"models:/from{suffix}")
    assert version["source"] == f"models:/from/{first['version']}"
    assert content(registry, version) == b"first"


@pytest.mark.parametrize(
    "source", ["models:/from@none", "models:/from/production", "models:/from", "models:/", "models:/from@"]
)
def test_a_version_that_nothing_names_does_not_exist(registry: Mlflow, source: str) -> None:
    registry.model("from")
    registry.version("from")
    assert code_of(create(registry, source), 404) == MISSING


def test_a_stage_that_mlflow_does_not_know_is_refused(registry: Mlflow) -> None:
    registry.model("from")
    assert code_of(create(registry, "models:/from/1.0"), 400) == INVALID


FORMS = {
    "run": "runs:/{run}/model",
    "place": "mlflow-artifacts:/projects/{a}/candidate:1/model",
    "url": "{server}/api/v4/projects/{a}/packages/ml_models/candidate:1/files/model",
    "logged": "models:/{logged}",
    "logged place": "mlflow-artifacts:/models/{logged}",
    "version": "models:/m/{version}",
    "version place": "mlflow-artifacts:/{version}",
}


def source_of(tracking: Mlflow, form: str) -> str:
    tracking.model()
    return FORMS[form].format(
        run=run_of(tracking),
        a=tracking.project,
        server=tracking.server,
        logged=tracking.logged_model()["info"]["model_id"],
        version=tracking.version()["version"],
    )


@pytest.fixture
def developer(registry: Mlflow, make_user: Callable[..., Account]) -> Account:
    """Somebody who may write in B, and is nobody in A."""
    account = make_user()
    body = {"user_id": account.id, "access_level": 30}
    assert registry.client.post(f"/projects/{registry.project}/members", json=body).status_code == 201
    return account


@pytest.mark.parametrize("form", FORMS)
def test_what_the_caller_may_not_read_is_not_there(
    tracking: Mlflow, registry: Mlflow, developer: Account, form: str
) -> None:
    source = source_of(tracking, form)
    theirs = Mlflow(developer.client, registry.project)
    assert code_of(create(theirs, source), 404) == MISSING
    assert registry.ok("GET", "model-versions/search")["model_versions"] == []
    body = {"user_id": developer.id, "access_level": 10}
    assert tracking.client.post(f"/projects/{tracking.project}/members", json=body).status_code == 201
    assert create(theirs, source).status_code == 200


@pytest.mark.parametrize("visibility", ["internal", "public"])
def test_what_everybody_may_read_lends_to_everybody(
    tracking: Mlflow, registry: Mlflow, developer: Account, visibility: str
) -> None:
    tracking.client.put(f"/projects/{tracking.project}", json={"visibility": visibility})
    version = Mlflow(developer.client, registry.project).version(source=source_of(tracking, "run"))
    assert content(registry, version) == b"A's"


@pytest.mark.parametrize("form", FORMS)
def test_a_job_reads_in_no_other_project(
    tracking: Mlflow, registry: Mlflow, form: str, client_for: Callable[[str | None], httpx2.Client]
) -> None:
    job = registry.client.post(f"/projects/{registry.project}/job_tokens").json()["token"]
    refused = create(Mlflow(client_for(job), registry.project), source_of(tracking, form))
    assert code_of(refused, 403) == "PERMISSION_DENIED"


def test_what_is_lent_counts_in_the_project_that_gets_it(tracking: Mlflow, registry: Mlflow) -> None:
    source = f"runs:/{run_of(tracking)}"
    used = 2 * len(b"B's")
    registry.client.put(f"/projects/{registry.project}", json={"storage_limit": used + 8})
    assert code_of(create(registry, source), 403) == "PERMISSION_DENIED"
    registry.client.put(f"/projects/{registry.project}", json={"storage_limit": used + 9})
    assert create(registry, source).status_code == 200
    shown = registry.client.get(f"/projects/{registry.project}", params={"statistics": "true"}).json()
    assert shown["statistics"]["packages_size"] == used + 9


def test_what_was_lent_outlives_what_lent_it(tracking: Mlflow, registry: Mlflow) -> None:
    version = registry.version(source=f"runs:/{run_of(tracking)}/model", run_id=run_of(tracking))
    assert tracking.client.delete(f"/projects/{tracking.project}").is_success
    assert content(registry, version) == b"A's"
    assert registry.ok("GET", "model-versions/get", name="m", version=version["version"])["model_version"] == version


def test_another_projects_run_is_not_promoted(tracking: Mlflow, registry: Mlflow) -> None:
    run = run_of(tracking)
    assert code_of(registry.post("model-versions/create", name="m", run_id=run), 404) == MISSING
    version = registry.version(source=f"runs:/{run}", run_id=run)
    assert names(registry, version) == ["model", "other"]
    assert tracking.show_run(run)["info"]["artifact_uri"].endswith("candidate:1")


def test_the_trail_tells_from_which_project_a_version_came(tracking: Mlflow, registry: Mlflow) -> None:
    version = registry.version(source=f"runs:/{run_of(tracking)}/model")
    events = registry.client.get(f"/projects/{registry.project}/audit_events").json()
    (made,) = [each["details"] for each in events if each["event_name"] == "ml_model_version_created"]
    assert (made["target_id"], made["source_project_id"]) == (int(version["version"]), tracking.project)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("möbel 🚀", "m%C3%B6bel%20%F0%9F%9A%80"),
        ("a%20b", "a%20b"),
        ("100% sure", "100%25%20sure"),
        ("50%25", "50%25"),
        ("plus+&=(x)", "plus+&=(x)"),
    ],
)
@pytest.mark.parametrize("form", ["runs:/{run}/{name}", "{place}/{name}", "{url}/{name}"])
def test_directories_are_named_as_clients_write_and_send_them(
    registry: Mlflow, form: str, name: str, sent: str
) -> None:
    run = run_of(registry)
    url = f"{registry.server}/api/v4/projects/{registry.project}/{ARTIFACTS}/candidate:1"
    place = registry.show_run(run)["info"]["artifact_uri"]
    assert registry.client.put(f"{url}/{sent}/MLmodel", content=b"here").status_code == 200
    version = registry.version(source=form.format(run=run, place=place, url=url, name=name), run_id=run)
    assert content(registry, version) == b"here"


@pytest.mark.parametrize("directory", ["..", "model/..", "%2e%2e", "a%2Fb", "a\\b", "%00", "x/%252e%252e"])
@pytest.mark.parametrize(
    "form", ["runs:/{run}/{directory}", "{server}/api/v4/projects/{b}/{artifacts}/candidate:1/{directory}"]
)
def test_a_directory_that_leaves_its_place_is_refused(registry: Mlflow, form: str, directory: str) -> None:
    source = form.format(
        run=run_of(registry), directory=directory, server=registry.server, b=registry.project, artifacts=ARTIFACTS
    )
    assert code_of(create(registry, source), 400) == INVALID


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """A server that clients know as https://models.example.com/registry."""
    folder = tmp_path_factory.mktemp("outside")
    with (
        running(folder, external_url="https://Models.example.com/registry/") as live,
        live.client(live.root_token) as client,
    ):
        api = Mlflow(client, client.post("/projects", json={"name": "outside"}).json()["id"])
        api.model()
        api.run()
        assert client.put(api.file("candidate:1", "model/MLmodel"), content=b"here").status_code == 201
        yield api


@pytest.mark.parametrize(
    ("base", "lends"),
    [
        ("https://models.example.com/registry", True),
        ("https://MODELS.example.com.:443/registry", True),
        ("http://models.example.com/registry", True),
        ("https://user@models.example.com/registry", True),
        ("{server}", True),
        ("{server}/registry", True),
        ("https://models.example.com", False),
        ("https://models.example.com/other", False),
        ("https://models.example.com/registry/x", False),
        ("https://models.example.com:8443/registry", False),
        ("https://example.com/registry", False),
        ("https://models.example.com.evil.example/registry", False),
    ],
)
def test_a_server_knows_its_names(outside: Mlflow, base: str, lends: bool) -> None:
    for below in (f"{ARTIFACTS}/candidate:1", "packages/ml_models/candidate:1/files"):
        source = f"{base.format(server=outside.server)}/api/v4/projects/{outside.project}/{below}/model"
        version = outside.version(source=source, run_id=run_of(outside))
        assert names(outside, version) == (["MLmodel"] if lends else [])


def test_the_host_of_the_request_may_be_anything(outside: Mlflow) -> None:
    for host in ("[x", "a:b:c", "models.example.com:99999", "models.internal"):
        body = {
            "name": "m",
            "source": f"http://models.internal/api/v4/projects/{outside.project}/{ARTIFACTS}/candidate:1",
        }
        answer = outside.send("POST", "model-versions/create", json=body, headers={"Host": host})
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 200:
            found = names(outside, answer.json()["model_version"])
            assert found == (["model"] if host == "models.internal" else [])
