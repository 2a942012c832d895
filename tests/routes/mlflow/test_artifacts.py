"""MLflow's artifacts and the file API are two views of the same files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import Account
from tests.live import LiveServer
from tests.raw import exchange, put_head
from tests.routes.mlflow.conftest import Mlflow, code_of

MISSING, INVALID = "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"


@pytest.fixture
def api(mlflow: Mlflow) -> Mlflow:
    """With candidate 1."""
    mlflow.run(mlflow.experiment())
    return mlflow


@pytest.fixture
def version(api: Mlflow) -> str:
    api.model()
    return str(api.version()["version"])


def test_what_the_file_api_takes_the_artifacts_show(api: Mlflow) -> None:
    headers = {"Content-Type": "text/plain"}
    stored = api.client.put(api.file("candidate:1", "a.txt"), content=b"text", headers=headers)
    assert stored.status_code == 201
    assert api.listing("candidate:1") == [{"path": "a.txt", "is_dir": False, "file_size": 4}]
    assert api.artifact("GET", "candidate:1/a.txt").content == b"text"


def test_what_the_artifacts_take_the_file_api_shows(api: Mlflow, version: str) -> None:
    name = "dir%20one/%C3%BC/x.bin"
    stored = api.artifact("PUT", f"{version}/{name}", content=b"bytes")
    assert (stored.status_code, stored.json()) == (200, {})
    assert stored.headers["etag"]
    found = api.client.get(api.file(version, name))
    assert found.content == b"bytes"
    (package,) = [p for p in api.client.get(f"/projects/{api.project}/packages").json() if p["name"] == "m"]
    files = api.client.get(f"/projects/{api.project}/packages/{package['id']}/package_files").json()
    assert [(file["file_name"], file["file_sha256"]) for file in files] == [
        ("dir%20one%2F%C3%BC%2Fx.bin", hashlib.sha256(b"bytes").hexdigest())
    ]


def test_an_empty_file_comes_chunked(api: Mlflow, server: LiveServer) -> None:
    path = f"{api.root}/api/2.0/mlflow-artifacts/artifacts/candidate:1/empty"
    answer = exchange(server, put_head(server, path, "Transfer-Encoding: chunked"), b"0\r\n\r\n")
    assert answer.status == 200
    assert api.listing("candidate:1") == [{"path": "empty", "is_dir": False, "file_size": 0}]


def test_a_form_stores_the_file_in_it(api: Mlflow) -> None:
    stored = api.client.put(api.file("candidate:1", "f"), files={"file": ("x", b"content")})
    assert stored.status_code == 201
    assert api.artifact("GET", "candidate:1/f").content == b"content"


def test_directories_are_listed_one_at_a_time(api: Mlflow) -> None:
    for name in ("top", "sub/one", "sub/two", "sub/deep/three", "sub-x", "a%20b/c"):
        api.artifact("PUT", f"candidate:1/{name}", content=b"123")
    api.artifact("PUT", "candidate:1/top", content=b"newer")

    def names(path: str) -> list[tuple[str, int | None]]:
        return [(child["path"], child.get("file_size")) for child in api.listing(path)]

    assert names("candidate:1") == [("a b", None), ("sub", None), ("sub-x", 3), ("top", 5)]
    assert names("candidate:1/sub") == [("deep", None), ("one", 3), ("two", 3)]
    assert names("candidate:1/sub/") == names("candidate:1/sub")
    assert names("candidate:1/a b") == [("c", 3)]
    assert names("candidate:1/top") == []
    assert names("candidate:1/none") == []


@pytest.mark.parametrize("path", ["999999", "candidate:99", "nonsense", "models/m-0"])
def test_a_root_that_is_not_there_is_refused(api: Mlflow, path: str) -> None:
    url = f"{api.root}/api/2.0/mlflow-artifacts/artifacts"
    assert code_of(api.client.get(url, params={"path": path}), 404) == MISSING
    assert code_of(api.artifact("GET", f"{path}/f"), 404) == MISSING
    assert code_of(api.artifact("PUT", f"{path}/f", content=b"x"), 404) == MISSING
    assert code_of(api.artifact("DELETE", f"{path}/f"), 404) == MISSING


def test_a_listing_needs_a_path(api: Mlflow) -> None:
    assert code_of(api.client.get(f"{api.root}/api/2.0/mlflow-artifacts/artifacts"), 400) == INVALID


@pytest.mark.parametrize("name", ["..", "a/..%2f..", "a%5Cb", "%00", "%252e", "a%252fb", "%25252e%252e", "%ff"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_name_that_leaves_its_place_is_refused(api: Mlflow, server: LiveServer, method: str, name: str) -> None:
    path = f"{api.root}/api/2.0/mlflow-artifacts/artifacts/candidate:1/{name}"
    answer = exchange(server, put_head(server, path, "Content-Length: 0").replace(b"PUT", method.encode(), 1))
    assert (answer.status, answer.json()["error_code"]) == (400, INVALID)


def test_a_missing_file_does_not_exist(api: Mlflow, version: str) -> None:
    for path in ("candidate:1/none", f"{version}/none"):
        assert code_of(api.artifact("GET", path), 404) == MISSING


def test_what_is_not_there_is_deleted_already(api: Mlflow, version: str) -> None:
    logged = f"models/{api.logged_model()['info']['model_id']}"
    for owner in ("candidate:1", version, logged):
        assert api.artifact("DELETE", f"{owner}/none").json() == {}  # nothing was ever uploaded there
        api.artifact("PUT", f"{owner}/dir/f", content=b"x")
        for name in ("none", "dir/none", "dir/f/none", "di", "dir/f", "dir/f", "dir"):
            answer = api.artifact("DELETE", f"{owner}/{name}")
            assert (answer.status_code, answer.json()) == (200, {})
        assert api.listing(owner) == []
    events = api.client.get(f"/projects/{api.project}/audit_events").json()
    told = [each["details"]["path"] for each in events if each["event_name"] == "package_files_destroyed"]
    assert told == ["dir/f"] * 3


@pytest.mark.parametrize("whole", [True, False])
def test_the_artifacts_of_a_deleted_run_are_there_as_before(api: Mlflow, whole: bool) -> None:
    (run,) = api.ok("POST", "runs/search", experiment_ids=["1"])["runs"]
    api.artifact("PUT", "candidate:1/dir/f", content=b"x")
    deleted = {"experiment_id": "1"} if whole else {"run_id": run["info"]["run_id"]}
    api.ok("POST", "experiments/delete" if whole else "runs/delete", **deleted)
    assert api.show_run(run["info"]["run_id"])["info"]["artifact_uri"] == run["info"]["artifact_uri"]
    assert api.listing("candidate:1") == [{"path": "dir", "is_dir": True}]
    assert api.artifact("GET", "candidate:1/dir/f").content == b"x"
    assert api.client.get(api.file("candidate:1", "dir/f")).content == b"x"
    # What a job still uploads is not lost either, since the run can be restored.
    assert api.artifact("PUT", "candidate:1/late", content=b"y").status_code == 200
    assert api.client.put(api.file("candidate:1", "later"), content=b"z").status_code == 201
    assert api.artifact("DELETE", "candidate:1/late").status_code == 200
    assert [child["path"] for child in api.listing("candidate:1")] == ["dir", "later"]


def test_a_tree_is_deleted_and_nothing_else(api: Mlflow, version: str) -> None:
    for name in ("keep", "dir/a", "dir/sub/b", "dir-too"):
        api.artifact("PUT", f"{version}/{name}", content=b"x")
    api.artifact("PUT", f"{version}/keep", content=b"y")
    assert api.artifact("DELETE", f"{version}/dir").json() == {}
    assert [child["path"] for child in api.listing(version)] == ["dir-too", "keep"]
    assert api.artifact("DELETE", f"{version}/keep").status_code == 200
    assert api.artifact("GET", f"{version}/keep").status_code == 404
    assert code_of(api.artifact("DELETE", version), 400) == INVALID


def test_downloads_know_ranges_and_lengths(api: Mlflow) -> None:
    api.artifact("PUT", "candidate:1/f", content=b"0123456789")
    whole = api.artifact("GET", "candidate:1/f")
    assert whole.headers["content-length"] == "10"
    assert api.artifact("GET", "candidate:1/f", headers={"Range": "bytes=2-4"}).content == b"234"
    assert api.artifact("HEAD", "candidate:1/f").headers["content-length"] == "10"


def test_downloads_in_parts_are_declined_so_that_clients_fall_back(api: Mlflow) -> None:
    base = f"{api.root}/api/2.0/mlflow-artifacts"
    assert code_of(api.client.get(f"{base}/presigned/candidate:1/f"), 501) == "NOT_IMPLEMENTED"


def test_a_promoted_runs_artifacts_lie_under_both_ids(api: Mlflow) -> None:
    (run,) = api.ok("POST", "runs/search", experiment_ids=["1"])["runs"]
    api.artifact("PUT", "candidate:1/f", content=b"x")
    api.model()
    version = api.version(run_id=run["info"]["run_id"])["version"]
    assert api.listing("candidate:1") == api.listing(version)
    assert (
        api.show_run(run["info"]["run_id"])["info"]["artifact_uri"]
        == f"mlflow-artifacts:/projects/{api.project}/{version}"
    )


@pytest.mark.parametrize("owner", ["candidate:1", "version", "models/m"])
def test_a_path_may_name_another_project_than_the_tracking_uri(
    api: Mlflow, version: str, make_project: Callable[..., dict[str, Any]], owner: str
) -> None:
    model_id = api.logged_model()["info"]["model_id"]
    place = f"projects/{api.project}/" + {"version": version, "models/m": f"models/{model_id}"}.get(owner, owner)
    elsewhere = Mlflow(api.client, make_project()["id"])
    for through in (api, elsewhere):
        assert through.artifact("PUT", f"{place}/dir/f", content=b"content").status_code == 200
        assert through.artifact("GET", f"{place}/dir/f", headers={"Range": "bytes=0-2"}).content == b"con"
        assert through.artifact("HEAD", f"{place}/dir/f").headers["content-length"] == "7"
        assert through.listing(f"{place}/dir/") == [{"path": "f", "is_dir": False, "file_size": 7}]
        assert through.artifact("DELETE", f"{place}/dir").status_code == 200
        assert through.listing(place) == []
    assert code_of(elsewhere.artifact("GET", "candidate:1/dir/f"), 404) == MISSING


def test_a_path_into_another_project_is_for_whoever_may_do_so_there(
    api: Mlflow, make_user: Callable[..., Account], client_for: Callable[[str | None], httpx2.Client]
) -> None:
    stranger = make_user()
    own = stranger.client.post("/projects", json={"name": "own"}).json()["id"]
    place = f"projects/{api.project}/candidate:1"
    assert api.artifact("PUT", f"{place}/f", content=b"x").status_code == 200

    def tried(client: httpx2.Client) -> list[int]:
        through = Mlflow(client, own)
        url = f"{through.root}/api/2.0/mlflow-artifacts/artifacts"
        listed = client.get(url, params={"path": place}).status_code
        transfers: tuple[tuple[str, dict[str, Any]], ...] = (("GET", {}), ("PUT", {"content": b"y"}), ("DELETE", {}))
        return [listed, *(through.artifact(method, f"{place}/f", **sent).status_code for method, sent in transfers)]

    assert tried(stranger.client) == [404] * 4
    member = {"user_id": stranger.id, "access_level": 10}
    assert api.client.post(f"/projects/{api.project}/members", json=member).status_code == 201
    assert tried(stranger.client) == [200, 200, 403, 403]
    job = stranger.client.post(f"/projects/{own}/job_tokens").json()["token"]
    assert tried(client_for(job)) == [403] * 4
    assert tried(client_for(None)) == [401] * 4
    assert api.artifact("GET", "candidate:1/f").content == b"x"


@pytest.mark.parametrize("place", ["projects/999999/1", "projects/x/candidate:1", f"projects/{2**70}/1"])
def test_a_project_that_is_not_there_is_refused(api: Mlflow, place: str) -> None:
    url = f"{api.root}/api/2.0/mlflow-artifacts/artifacts"
    assert code_of(api.client.get(url, params={"path": place}), 404) == MISSING
    assert code_of(api.artifact("GET", f"{place}/f"), 404) == MISSING
    assert code_of(api.artifact("PUT", f"{place}/f", content=b"x"), 404) == MISSING
    assert code_of(api.artifact("DELETE", f"{place}/f/g"), 404) == MISSING
