"""A version follows its source until its own files change; nothing that it has had is ever lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from modelyard.services.files import following
from tests.conftest import Account
from tests.routes.mlflow.conftest import Mlflow

RUN = "candidate:1"


@pytest.fixture
def api(mlflow: Mlflow) -> Mlflow:
    """With a model, and a run that has files in a directory."""
    mlflow.model()
    mlflow.run()
    log(mlflow, RUN, "model/MLmodel", b"first")
    return mlflow


@pytest.fixture
def run(api: Mlflow) -> str:
    return run_of(api)


def run_of(api: Mlflow) -> str:
    return str(api.ok("POST", "runs/search", experiment_ids=["0"])["runs"][-1]["info"]["run_id"])


def log(api: Mlflow, owner: str, name: str, content: bytes) -> None:
    stored = api.artifact("PUT", f"{owner}/{name}", content=content)
    assert stored.status_code == 200, stored.text


def files(api: Mlflow, owner: str, directory: str = "") -> dict[str, bytes]:
    """All files of an owner by their names."""
    found: dict[str, bytes] = {}
    for child in api.listing(f"{owner}/{directory}".rstrip("/")):
        path = f"{directory}/{child['path']}".lstrip("/")
        if child["is_dir"]:
            found |= files(api, owner, path)
        else:
            found[path] = api.client.get(api.file(owner, path)).content
    return found


def used(api: Mlflow) -> int:
    shown = api.client.get(f"/projects/{api.project}", params={"statistics": "true"}).json()
    return int(shown["statistics"]["packages_size"])


@pytest.mark.parametrize("form", ["runs:/{run}/model", "mlflow-artifacts:/projects/{project}/candidate:1/model"])
def test_what_is_logged_later_reaches_the_version(api: Mlflow, run: str, form: str) -> None:
    version = api.version(source=form.format(run=run, project=api.project), run_id=run)["version"]
    log(api, RUN, "model/MLmodel", b"signed")
    log(api, RUN, "model/sub/requirements.txt", b"numpy")
    log(api, RUN, "models", b"not in the directory")
    log(api, RUN, "model-too/x", b"not in the directory")
    assert api.client.put(api.file(RUN, "model/by-file-api"), content=b"too").status_code == 201
    assert files(api, version) == {"MLmodel": b"signed", "sub/requirements.txt": b"numpy", "by-file-api": b"too"}
    listed = api.client.get(f"/projects/{api.project}/packages", params={"package_version": "1.0.0"}).json()
    shown = api.client.get(f"/projects/{api.project}/packages/{listed[0]['id']}/package_files").json()
    assert [each["file_name"] for each in shown] == ["MLmodel", "MLmodel", "sub%2Frequirements.txt", "by-file-api"]


def test_a_version_that_was_made_empty_fills(api: Mlflow) -> None:
    later = api.run()
    version = api.version(source=f"runs:/{later}/model", run_id=later)
    assert version["status_message"] == "There are no files at the source yet"
    log(api, "candidate:2", "model/MLmodel", b"x")
    assert files(api, version["version"]) == {"MLmodel": b"x"}


def test_a_version_follows_its_logged_model(api: Mlflow) -> None:
    model_id = api.logged_model()["info"]["model_id"]
    version = api.version(source=f"models:/{model_id}", model_id=model_id)["version"]
    assert files(api, version) == {}
    log(api, f"models/{model_id}", "MLmodel", b"x")
    assert files(api, version) == {"MLmodel": b"x"}
    api.ok("DELETE", f"logged-models/{model_id}")
    assert files(api, version) == {"MLmodel": b"x"}


def test_a_copy_follows_what_its_version_follows(api: Mlflow, run: str) -> None:
    first = api.version(source=f"runs:/{run}/model", run_id=run)
    copy = api.version(source=f"models:/m/{first['version']}", run_id=run)["version"]
    part = api.version(source=f"mlflow-artifacts:/{first['version']}/sub", run_id=run)["version"]
    api.ok("DELETE", "model-versions/delete", name="m", version=first["version"])
    log(api, RUN, "model/sub/f", b"x")
    assert files(api, copy) == {"MLmodel": b"first", "sub/f": b"x"}
    assert files(api, part) == {"f": b"x"}


@pytest.mark.parametrize("source", ["models:/gone/{version}", "models:/{logged}"])
def test_a_copy_follows_a_version_whose_own_source_is_gone(api: Mlflow, source: str) -> None:
    api.model("gone")
    logged = api.logged_model()["info"]["model_id"]
    first = api.version(source=source.format(version=api.version("gone")["version"], logged=logged))["version"]
    api.ok("DELETE", "registered-models/delete", name="gone")
    api.ok("DELETE", f"logged-models/{logged}")
    copy = api.version(source=f"models:/m/{first}")["version"]
    log(api, first, "f", b"x")
    assert files(api, copy) == {"f": b"x"}


@pytest.mark.parametrize("promoted", [True, False])
def test_a_copy_follows_a_version_that_follows_nothing(api: Mlflow, run: str, promoted: bool) -> None:
    first = api.version(source=f"runs:/{run}", run_id=run) if promoted else api.version()
    copy = api.version(source=f"models:/m/{first['version']}")["version"]
    before = files(api, first["version"])
    log(api, first["version"], "by-id", b"x")
    own = api.show_run(first["run_id"])["info"]["artifact_uri"].rpartition("/")[2]
    log(api, own, "by-run", b"y")
    if promoted:
        log(api, RUN, "by-candidate", b"z")
    assert files(api, copy) == files(api, first["version"])
    assert len(files(api, copy)) > len(before)


def test_a_run_is_followed_beyond_its_promotion(api: Mlflow, run: str) -> None:
    follower = api.version(source=f"runs:/{run}/model", run_id=run)["version"]
    promoted = api.version(source=f"runs:/{run}", run_id=run)["version"]
    log(api, RUN, "model/1", b"by the run's id")
    log(api, promoted, "model/2", b"by the version's id")
    again = api.version(source=f"runs:/{run}", run_id=run)["version"]
    api.ok("DELETE", "model-versions/delete", name="m", version=promoted)
    log(api, RUN, "model/3", b"after the version")
    assert sorted(files(api, follower)) == ["1", "2", "3", "MLmodel"]
    assert sorted(files(api, again)) == ["model/1", "model/2", "model/3", "model/MLmodel"]


def test_the_first_files_of_a_promoted_run_reach_who_follows_it(api: Mlflow) -> None:
    run = api.run()
    follower = api.version(source=f"runs:/{run}/model", run_id=run)["version"]
    promoted = api.version(source=f"runs:/{run}", run_id=run)["version"]
    log(api, promoted, "model/f", b"x")
    assert files(api, follower) == {"f": b"x"}


@pytest.mark.parametrize("how", ["file api", "artifacts", "candidate", "same bytes", "delete", "delete file"])
def test_a_version_stops_with_the_first_change_of_its_own(api: Mlflow, run: str, how: str) -> None:
    version = api.version(source=f"runs:/{run}/model", run_id=run)["version"]
    log(api, RUN, "model/before", b"1")
    (package,) = api.client.get(f"/projects/{api.project}/packages", params={"package_version": "1.0.0"}).json()
    below = f"/projects/{api.project}/packages/{package['id']}/package_files"
    changes: dict[str, Callable[[], httpx2.Response]] = {
        "file api": lambda: api.client.put(api.file(version, "own"), content=b"own"),
        "artifacts": lambda: api.artifact("PUT", f"{version}/own", content=b"own"),
        "candidate": lambda: api.client.put(api.file("candidate:2", "own"), content=b"own"),
        "same bytes": lambda: api.client.put(api.file(version, "MLmodel"), content=b"first"),
        "delete": lambda: api.artifact("DELETE", f"{version}/before"),
        "delete file": lambda: api.client.delete(f"{below}/{api.client.get(below).json()[1]['id']}"),
    }
    assert changes[how]().is_success
    kept = files(api, version)
    for name in ("MLmodel", "own", "before", "later"):
        log(api, RUN, f"model/{name}", b"from the run")
    assert files(api, version) == kept
    assert kept["MLmodel"] == b"first"


def test_a_version_whose_package_was_deleted_stays_as_it_is(api: Mlflow, run: str) -> None:
    version = api.version(source=f"runs:/{run}/model", run_id=run)["version"]
    (package,) = api.client.get(f"/projects/{api.project}/packages", params={"package_version": "1.0.0"}).json()
    assert api.client.delete(f"/projects/{api.project}/packages/{package['id']}").status_code == 204
    log(api, RUN, "model/later", b"x")
    log(api, version, "own", b"y")
    log(api, RUN, "model/later", b"z")
    assert files(api, version) == {"own": b"y"}


def test_what_changes_no_file_stops_nothing(api: Mlflow, run: str) -> None:
    version = api.version(source=f"runs:/{run}/model", run_id=run)["version"]
    refused = api.client.put(api.file(version, "MLmodel"), content=b"own", headers={"If-None-Match": "*"})
    assert refused.status_code == 412
    wrong = api.client.put(api.file(version, "x"), content=b"own", headers={"Repr-Digest": "sha-256=:AAAA:"})
    assert wrong.status_code == 400
    assert api.artifact("DELETE", f"{version}/none").status_code == 200
    log(api, RUN, "model/MLmodel", b"second")
    assert files(api, version) == {"MLmodel": b"second"}


def test_what_is_deleted_at_the_source_stays_in_the_version(api: Mlflow, run: str) -> None:
    version = api.version(source=f"runs:/{run}/model", run_id=run)["version"]
    assert api.artifact("DELETE", f"{RUN}/model").status_code == 200
    assert files(api, version) == {"MLmodel": b"first"}
    before = used(api)
    log(api, RUN, "model/MLmodel", b"first")
    assert used(api) == before + len(b"first")
    log(api, RUN, "model/MLmodel", b"other")
    assert files(api, version) == {"MLmodel": b"other"}
    (package,) = api.client.get(f"/projects/{api.project}/packages", params={"package_version": "candidate_1"}).json()
    assert api.client.delete(f"/projects/{api.project}/packages/{package['id']}").status_code == 204
    log(api, RUN, "model/later", b"x")
    assert files(api, version) == {"MLmodel": b"other", "later": b"x"}


def test_a_deleted_run_is_followed_again_when_it_is_restored(api: Mlflow, run: str) -> None:
    version = api.version(source=f"runs:/{run}/model", run_id=run)["version"]
    api.ok("POST", "runs/delete", run_id=run)
    assert files(api, version) == {"MLmodel": b"first"}
    api.ok("POST", "runs/restore", run_id=run)
    log(api, RUN, "model/MLmodel", b"second")
    assert files(api, version) == {"MLmodel": b"second"}


def test_a_version_may_be_made_from_a_deleted_run(api: Mlflow, run: str) -> None:
    api.ok("POST", "runs/delete", run_id=run)
    assert files(api, api.version(source=f"runs:/{run}", run_id=run)["version"]) == {"model/MLmodel": b"first"}
    assert api.show_run(run)["info"]["lifecycle_stage"] == "deleted"


def test_a_version_outlives_the_model_that_it_followed(api: Mlflow) -> None:
    api.model("gone")
    first = api.version("gone")["version"]
    version = api.version(source=f"models:/gone/{first}")["version"]
    log(api, first, "f", b"x")
    api.ok("DELETE", "registered-models/delete", name="gone")
    assert files(api, version) == {"f": b"x"}
    log(api, version, "own", b"y")
    assert files(api, version) == {"f": b"x", "own": b"y"}


def test_the_same_bytes_again_add_nothing_anywhere(api: Mlflow, run: str) -> None:
    version = api.version(source=f"runs:/{run}/model", run_id=run)["version"]
    log(api, RUN, "model/f", b"12345")
    before = used(api)
    log(api, RUN, "model/f", b"12345")
    assert used(api) == before
    assert files(api, version)["f"] == b"12345"


def test_a_copy_in_a_third_project_misses_no_file_meanwhile(api: Mlflow, run: str, theirs: Mlflow) -> None:
    first = theirs.version(source=f"runs:/{run}/model", run_id=run)["version"]

    def log_all() -> None:
        with httpx2.Client(base_url=api.client.base_url, headers=api.client.headers) as client:
            for number in range(20):
                assert client.put(api.file(RUN, f"model/{number}"), content=b"x").status_code == 201

    logging = threading.Thread(target=log_all)
    logging.start()
    copies = [theirs.version(source=f"models:/m/{first}")["version"] for _ in range(8)]
    logging.join()
    assert [len(files(theirs, each)) for each in copies] == [21] * 8


# Another project


@pytest.fixture
def maker(api: Mlflow, make_user: Callable[..., Account]) -> Account:
    """Somebody who may read the run's project, and has one of their own."""
    account = make_user()
    member = {"user_id": account.id, "access_level": 20}
    assert api.client.post(f"/projects/{api.project}/members", json=member).status_code == 201
    return account


@pytest.fixture
def theirs(maker: Account, make_project: Callable[..., dict[str, Any]]) -> Mlflow:
    other = Mlflow(maker.client, make_project(maker)["id"])
    other.model()
    return other


def test_a_version_in_another_project_follows_too(api: Mlflow, run: str, theirs: Mlflow) -> None:
    version = theirs.version(source=f"runs:/{run}/model", run_id=run)["version"]
    log(api, RUN, "model/MLmodel", b"second")
    assert files(theirs, version) == {"MLmodel": b"second"}
    assert used(theirs) == len(b"first") + len(b"second")
    log(theirs, version, "own", b"y")
    log(api, RUN, "model/MLmodel", b"third")
    assert files(theirs, version) == {"MLmodel": b"second", "own": b"y"}


@pytest.mark.parametrize("how", ["removed", "blocked", "deleted"])
def test_it_ends_with_the_makers_right_to_read(api: Mlflow, run: str, theirs: Mlflow, maker: Account, how: str) -> None:
    version = theirs.version(source=f"runs:/{run}/model", run_id=run)["version"]
    other = Mlflow(api.client, theirs.project)
    member = f"/projects/{api.project}/members"
    if how == "removed":
        assert api.client.delete(f"{member}/{maker.id}").status_code == 204
    elif how == "blocked":
        assert api.client.post(f"/users/{maker.id}/block").status_code == 201
    else:
        assert api.client.delete(f"/users/{maker.id}").is_success
    log(api, RUN, "model/secret", b"not for them")
    assert files(other, version) == {"MLmodel": b"first"}
    if how == "removed":
        assert api.client.post(member, json={"user_id": maker.id, "access_level": 20}).status_code == 201
        log(api, RUN, "model/later", b"they would miss one")
        assert files(other, version) == {"MLmodel": b"first"}


def test_a_public_project_is_followed_by_whoever_made_the_version(
    api: Mlflow, run: str, theirs: Mlflow, maker: Account
) -> None:
    version = theirs.version(source=f"runs:/{run}/model", run_id=run)["version"]
    assert api.client.put(f"/projects/{api.project}", json={"visibility": "public"}).status_code == 200
    assert api.client.delete(f"/users/{maker.id}").is_success
    log(api, RUN, "model/later", b"x")
    assert files(Mlflow(api.client, theirs.project), version) == {"MLmodel": b"first", "later": b"x"}


# Limits


def limit(api: Mlflow, size: int) -> None:
    assert api.client.put(f"/projects/{api.project}", json={"storage_limit": size}).status_code == 200


def test_what_reaches_versions_counts_towards_the_limit(api: Mlflow, run: str) -> None:
    version = api.version(source=f"runs:/{run}/model", run_id=run)["version"]
    limit(api, used(api) + 20)
    url = api.file(RUN, "model/f")
    assert api.client.put(f"{url}/authorize", json={"size": 11}).status_code == 403
    assert api.client.put(f"{url}/authorize", json={"size": 10}).status_code == 200
    assert api.client.put(url, content=b"x" * 11).status_code == 403
    chunked = (chunk for chunk in [b"x" * 11])
    assert api.client.put(url, content=chunked).status_code == 403
    assert files(api, version) == {"MLmodel": b"first"}
    assert api.client.put(api.file(RUN, "elsewhere"), content=b"").status_code == 201
    assert api.client.put(url, content=b"x" * 10).status_code == 201
    assert files(api, version)["f"] == b"x" * 10
    assert api.client.put(url, content=b"x" * 10).status_code == 201
    assert api.client.put(api.file(RUN, "other"), content=b"x").status_code == 403


def test_what_no_version_follows_counts_once(api: Mlflow, run: str) -> None:
    api.version(source=f"runs:/{run}/model", run_id=run)
    model_id = api.logged_model()["info"]["model_id"]
    limit(api, used(api) + 20)
    assert api.client.put(api.file(RUN, "other"), content=b"x" * 19).status_code == 201
    assert api.artifact("PUT", f"models/{model_id}/f", content=b"x").status_code == 200


def test_another_projects_limit_refuses_nobody(api: Mlflow, run: str, theirs: Mlflow) -> None:
    version = theirs.version(source=f"runs:/{run}/model", run_id=run)["version"]
    limit(Mlflow(api.client, theirs.project), used(theirs) + 1)
    log(api, RUN, "model/f", b"0123456789")
    assert files(theirs, version)["f"] == b"0123456789"
    assert theirs.artifact("PUT", f"{version}/own", content=b"x").status_code == 403


def test_a_source_has_a_bounded_number_of_followers(api: Mlflow, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MAX_FOLLOWERS", 2)
    versions = [api.version(source=f"runs:/{run}/model", run_id=run) for _ in range(3)]
    assert [bool(version["status_message"]) for version in versions] == [False, False, True]
    log(api, RUN, "model/later", b"x")
    assert [len(files(api, version["version"])) for version in versions] == [2, 2, 1]


# At the same time


def test_an_own_upload_wins_over_one_to_the_source_at_the_same_time(api: Mlflow, run: str) -> None:
    versions = [api.version(source=f"runs:/{run}/model", run_id=run)["version"] for _ in range(12)]
    done = threading.Event()

    def keep_logging() -> None:
        count = 0
        with httpx2.Client(base_url=api.client.base_url, headers=api.client.headers) as client:
            while not done.is_set():
                count += 1
                client.put(api.file(RUN, "model/MLmodel"), content=[b"first", b"second"][count % 2])

    logging = threading.Thread(target=keep_logging)
    logging.start()
    try:
        for version in versions:
            assert api.client.put(api.file(version, "MLmodel"), content=b"first").status_code == 201
    finally:
        done.set()
        logging.join()
    assert [files(api, version) for version in versions] == [{"MLmodel": b"first"}] * 12


def test_no_file_is_missed_by_a_version_that_is_made_meanwhile(api: Mlflow, run: str, theirs: Mlflow) -> None:
    def log_all() -> None:
        with httpx2.Client(base_url=api.client.base_url, headers=api.client.headers) as client:
            for number in range(20):
                assert client.put(api.file(RUN, f"model/{number}"), content=b"x").status_code == 201

    logging = threading.Thread(target=log_all)
    logging.start()
    made = []
    for _ in range(6):
        made += [(each, each.version(source=f"runs:/{run}/model", run_id=run)["version"]) for each in (api, theirs)]
    logging.join()
    expected = files(api, RUN, "model")
    assert len(expected) == 21
    for each, version in made:
        assert {f"model/{name}" for name in files(each, version)} == set(expected)
