"""Names with percent signs, from upload to deletion, and projects whose path arrives quoted twice beside them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from fastapi.routing import APIRoute

from tests.conftest import Account
from tests.live import LiveServer
from tests.routes.mlflow.conftest import Mlflow

NAMES = (
    "images/dogs%step%0%timestamp%1795932854708%a1b2.png",
    "share%20of%20100%25.csv",
    "100% sure",
    "a%2520b/%2e%2e%2e",
    "%",
    "%00%0d%0a/%ff",
)


@pytest.fixture
def api(root: httpx2.Client, make_project: Callable[..., dict[str, Any]]) -> Mlflow:
    """A project with candidate 1, addressed by its number."""
    api = Mlflow(root, make_project()["id"])
    api.run()
    return api


@pytest.fixture
def by_path(api: Mlflow) -> Mlflow:
    """The same as Python's requests addresses it for a URL with a lone `%`."""
    path = api.client.get(f"/projects/{api.project}").json()["path_with_namespace"]
    return Mlflow(api.client, quote(quote(path, safe=""), safe=""))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_percent_signs_is_one_like_any_other(api: Mlflow, by_path: Mlflow, name: str) -> None:
    folder, _, last = name.rpartition("/")
    content = name.encode()
    assert api.client.put(by_path.file("candidate%253A1", quote(name)), content=content).status_code == 201
    for each in (api, by_path):
        got = each.client.get(each.file("candidate:1", quote(name)))
        assert got.content == content
        assert got.headers["content-disposition"].endswith(f"filename*=UTF-8''{quote(last, safe='!#$&+-.^_`|~')}")
        assert each.artifact("GET", f"candidate:1/{quote(name)}").content == content
        assert each.listing(f"candidate:1/{folder}") == [{"path": last, "is_dir": False, "file_size": len(content)}]
    exists = api.client.put(f"{api.file('candidate:1', quote(name))}/authorize").json()["Exists"]
    assert exists["Size"] == len(content)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_percent_signs_survives_promotion(api: Mlflow, by_path: Mlflow, name: str) -> None:
    assert by_path.artifact("PUT", f"candidate:1/{quote(name)}", content=b"x").status_code == 200
    (run,) = api.ok("POST", "runs/search", experiment_ids=["0"])["runs"]
    by_path.model()
    version = by_path.version(run_id=run["info"]["run_id"])["version"]
    assert by_path.client.get(by_path.file(version, quote(name))).content == b"x"
    (package,) = by_path.client.get(f"/projects/{by_path.project}/packages").json()
    files = f"/projects/{by_path.project}/packages/{package['id']}/package_files"
    (file,) = by_path.client.get(files).json()
    assert file["file_name"] == quote(name, safe="")
    assert by_path.client.delete(f"{files}/{file['id']}").status_code == 204
    assert api.client.get(api.file(version, quote(name))).status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_percent_signs_is_deleted_and_no_other(api: Mlflow, by_path: Mlflow, name: str) -> None:
    for each in (name, f"{name}x", "other"):
        api.artifact("PUT", f"candidate:1/{quote(each)}", content=b"x")
    assert by_path.artifact("DELETE", f"candidate:1/{quote(name)}").status_code == 200
    assert api.artifact("GET", f"candidate:1/{quote(name)}").status_code == 404
    for each in (f"{name}x", "other"):
        assert api.artifact("GET", f"candidate:1/{quote(each)}").status_code == 200


def test_directories_with_percent_signs_are_listed_and_deleted(api: Mlflow) -> None:
    logged = api.logged_model()["info"]["model_id"]
    for owner in ("candidate:1", f"models/{logged}"):
        for name in ("100%25/a%2fb%".replace("%2f", "%2g"), "100%/b"):
            assert api.artifact("PUT", f"{owner}/{quote(name)}", content=b"x").status_code == 200
        assert [child["path"] for child in api.listing(owner)] == ["100%", "100%25"]
        assert [child["path"] for child in api.listing(f"{owner}/100%25")] == ["a%2gb%"]
    files = api.ok("GET", f"logged-models/{logged}/artifacts/directories", artifact_directory_path="100%25/")["files"]
    assert [file["path"] for file in files] == ["a%2gb%"]
    assert api.artifact("DELETE", "candidate:1/100%25").status_code == 200
    assert [child["path"] for child in api.listing("candidate:1")] == ["100%25"]


@pytest.mark.parametrize("name", ["%2e%2e", "a%2fb", "..%5cb", "%252e"])
def test_a_directory_that_leaves_its_place_is_refused_in_a_query_too(api: Mlflow, name: str) -> None:
    logged = api.logged_model()["info"]["model_id"]
    listed = api.get(f"logged-models/{logged}/artifacts/directories", artifact_directory_path=name)
    assert listed.status_code == 400
    url = f"{api.root}/api/2.0/mlflow-artifacts/artifacts"
    assert api.client.get(url, params={"path": f"candidate:1/{name}"}).status_code == 400


DECODED = {  # what MLflow's clients make of a name that is listed
    "dogs%step%0%timestamp%1795932854708%a1b2.png": "dogs%step%0%timestamp%1795932854708\ufffdb2.png",
    "dogs%step%41b2.png": "dogs%stepAb2.png",
    "im%25.png": "im%.png",
    "im%2525%c3%bc.png": "im%ü.png",
    "100%/share%20of%20100%25.csv": "100%/share of 100%.csv",
    "d%20%3F ü/a/f%0A%": "d ? ü/a/f%0a%",
    "long" * 60 + "%2Bx": "long" * 60 + "+x",
}


@pytest.mark.parametrize("name", DECODED)
def test_what_mlflows_clients_list_they_download_by_the_name_that_they_make_of_it(api: Mlflow, name: str) -> None:
    shown = DECODED[name]
    for each in (name, f"{name}x", f"{name}%41", f"x{name}"):
        assert api.artifact("PUT", f"candidate:1/{quote(each)}", content=each.encode()).status_code == 200
    for method in ("GET", "HEAD"):
        got = api.artifact(method, f"candidate:1/{quote(shown)}")
        assert (got.status_code, got.headers["content-length"]) == (200, str(len(name.encode())))
    assert api.artifact("GET", f"candidate:1/{quote(shown)}").text == name
    folder, _, _last = shown.rpartition("/")
    assert name.rpartition("/")[2] in [child["path"] for child in api.listing(f"candidate:1/{folder}")]
    assert api.artifact("GET", f"candidate:1/{quote(f'{shown}y')}").status_code == 404
    assert api.client.get(api.file("candidate:1", quote(shown))).status_code == 404  # GitLab's clients ask by the name
    assert api.artifact("DELETE", f"candidate:1/{quote(shown)}").status_code == 200
    assert api.artifact("GET", f"candidate:1/{quote(name)}").text == name  # which nobody has named


def test_a_name_that_a_file_has_goes_before_one_that_clients_make_of_another(api: Mlflow) -> None:
    for name in ("d%20e/a%20b", "d e/a%20b"):
        assert api.artifact("PUT", f"candidate:1/{quote(name)}", content=name.encode()).status_code == 200
    assert api.artifact("GET", "candidate:1/d%20e/a%20b").text == "d e/a%20b"
    assert api.artifact("PUT", "candidate:1/d%20e/a%20b", content=b"own").status_code == 200
    assert api.artifact("GET", "candidate:1/d%20e/a%20b").text == "own"


def test_a_directory_is_listed_by_the_name_that_mlflows_clients_make_of_it(api: Mlflow) -> None:
    run, logged = api.run(), api.logged_model()["info"]["model_id"]
    for owner in ("candidate:2", f"models/{logged}"):
        assert api.artifact("PUT", f"{owner}/{quote('100%25 of/a%20b/f')}", content=b"x").status_code == 200
        assert [child["path"] for child in api.listing(f"{owner}/100% of/a b")] == ["f"]
        assert api.listing(f"{owner}/100% of/a") == []
    listed = api.ok("GET", "artifacts/list", run_id=run, path="100% of")["files"]
    assert [file["path"] for file in listed] == ["100% of/a%20b"]
    by_model = api.ok("GET", f"logged-models/{logged}/artifacts/directories", artifact_directory_path="100% of/a b")
    assert [file["path"] for file in by_model["files"]] == ["f"]


@pytest.mark.parametrize("path", ["nothing%41", "x" * 200, "models/x%20y"])
def test_what_nobody_sees_is_not_found_by_any_name(api: Mlflow, make_user: Callable[..., Account], path: str) -> None:
    assert api.artifact("PUT", f"candidate:1/{quote(f'{path}%41')}", content=b"x").status_code == 200
    stranger = Mlflow(make_user().client, api.project)
    assert stranger.artifact("GET", f"candidate:1/{quote(f'{path}A')}").status_code == 404
    assert api.artifact("GET", f"candidate:9/{quote(f'{path}A')}").status_code == 404


PARAMETERS: dict[str, Any] = {  # of any endpoint
    **dict.fromkeys(("name", "new_name", "alias", "key", "value", "path", "run_id", "run_uuid", "version"), "1"),
    **{"user_id": 1, "access_level": 10, "scopes": ["api"], "experiment_id": "0", "experiment_ids": ["0"]},
    **{
        "stage": "Production",
        "metric_key": "k",
        "timestamp": 1,
        "lifecycle_stage": "active",
        "status": "LOGGED_MODEL_READY",
    },
}


def requests_of(server: LiveServer) -> list[tuple[str, str]]:
    """Every endpoint that takes a project: method and path, with 1 for all else that it names."""
    found = []
    for route in server.app.all_routes():
        if isinstance(route, APIRoute) and "{project}" in route.path:
            path = route.path.removeprefix("/api/v4").replace("{path:path}", "1/f")
            path = re.sub(r"\{(?!project)[^}]*\}", "1", path)
            found += [(method, path) for method in sorted(route.methods or ())]
    return found


def test_a_project_that_arrives_quoted_twice_is_found_by_every_endpoint(
    server: LiveServer,
    root: httpx2.Client,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
) -> None:
    guest, project = make_user(), make_project()
    member = {"user_id": guest.id, "access_level": 10}
    assert root.post(f"/projects/{project['id']}/members", json=member).status_code == 201
    once = quote(project["path_with_namespace"], safe="")
    looked_for = 0
    for method, path in requests_of(server):
        query, body = (PARAMETERS, None) if method in {"GET", "HEAD", "DELETE"} else (None, PARAMETERS)
        told = []
        for name in (str(project["id"]), once, quote(once), quote(quote(once))):
            answer = guest.client.request(method, path.replace("{project}", name), params=query, json=body)
            told.append((answer.status_code, answer.text))
        assert told[0] == told[1] == told[2], (method, path)
        assert "Project Not Found" not in told[0][1], (method, path)
        looked_for += told[3][0] == 404 and (method == "HEAD" or "Project Not Found" in told[3][1])
    assert looked_for > 60
