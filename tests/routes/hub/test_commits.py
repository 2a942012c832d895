"""Revisions, and commits: which files they mean, and for how long."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from modelyard.registry.hub import commits as kept_commits
from tests.conftest import MLFLOW
from tests.live import LiveServer, running
from tests.routes.hub.conftest import Repo
from tests.routes.hub.test_names import refused

OWNER = "root"  # whose namespace it is


def info(client: httpx2.Client, repo: Repo, revision: str = "main") -> Any:
    answer = client.get(f"/api/models/{repo.id}/revision/{quote(revision, safe='')}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(client: httpx2.Client, repo: Repo, revision: str = "main") -> list[str]:
    return [each["rfilename"] for each in info(client, repo, revision)["siblings"]]


def test_main_is_the_newest_version_and_versions_have_their_own_names(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo], add_version: Callable[..., int]
) -> None:
    repo = make_repo({"a": b"a"})
    for version in ("10.0.0", "9.1.0", "2.0.0-rc.1+b.5"):
        add_version(repo.project, repo.model, {version: b"x"}, version)
    alias = {"name": repo.model, "alias": "champion", "version": "9.1.0"}
    assert root.post(f"/projects/{repo.project}/{MLFLOW}/registered-models/alias", json=alias).is_success
    for revision, file in {
        "main": "10.0.0",
        "10.0.0": "10.0.0",
        "v10.0.0": "10.0.0",
        "1.0.0": "a",
        "champion": "9.1.0",
        "2.0.0-rc.1+b.5": "2.0.0-rc.1+b.5",
        "v2.0.0-rc.1+b.5": "2.0.0-rc.1+b.5",
    }.items():
        assert names(hub, repo, revision) == [file]


@pytest.mark.parametrize(
    "revision",
    [
        *("2.0.0", "vv1.0.0", "V1.0.0", "refs%2Fpr%2F1", "..", "..%2F..", "a%00b", "%", "%ff", "0" * 40, "x" * 300),
        *("x" * 5000, "1.0", "HEAD", "Main", "%0A"),
    ],
)
def test_a_revision_that_is_not_there_is_refused_with_its_code(
    hub: httpx2.Client, make_repo: Callable[..., Repo], revision: str
) -> None:
    repo = make_repo()
    path = f"/api/models/{repo.id}/revision/{revision.replace('..', '%2E%2E')}"
    assert refused(hub.get(path))[:2] == (404, "RevisionNotFound")


def test_a_model_without_versions_has_an_empty_commit(
    root: httpx2.Client,
    hub: httpx2.Client,
    make_project: Callable[..., dict[str, Any]],
    add_version: Callable[..., int],
) -> None:
    made = make_project()
    root.post(f"/projects/{made['id']}/{MLFLOW}/registered-models/create", json={"name": "m"})
    repo = Repo(made["path_with_namespace"], made["id"], "m", 0)
    empty = info(hub, repo)
    assert empty["siblings"] == []
    add_version(repo.project, "m", {"f": b"f"})
    assert names(hub, repo) == ["f"]
    assert info(hub, repo, empty["sha"]) == empty


def test_every_change_of_files_makes_another_commit_and_the_old_one_goes_on(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({"a": b"a", "b": b"b"})
    lists = [(info(hub, repo)["sha"], names(hub, repo))]
    package = root.get(f"/projects/{repo.project}/packages").json()[0]["id"]
    root.put(f"{repo.files}/c", content=b"c")
    lists.append((info(hub, repo)["sha"], ["a", "b", "c"]))
    root.put(f"{repo.files}/a", content=b"other")
    lists.append((info(hub, repo)["sha"], ["a", "b", "c"]))
    root.delete(f"/projects/{repo.project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/{repo.version}/b")
    lists.append((info(hub, repo)["sha"], ["a", "c"]))
    assert len({commit for commit, _files in lists}) == 4
    for commit, files in lists:
        assert names(hub, repo, commit) == files
    digests = [
        each["lfs"]["sha256"]
        for each in hub.get(f"/api/models/{repo.id}/revision/{lists[1][0]}?blobs=1").json()["siblings"]
    ]
    assert digests == [hashlib.sha256(content).hexdigest() for content in (b"a", b"b", b"c")]
    root.delete(f"/projects/{repo.project}/packages/{package}")
    assert names(hub, repo) == []
    assert names(hub, repo, lists[0][0]) == ["a", "b"]


def test_the_same_files_again_are_the_same_commit(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({"a": b"a"})
    first = info(hub, repo)["sha"]
    root.put(f"{repo.files}/a", content=b"other")
    assert info(hub, repo)["sha"] != first
    root.put(f"{repo.files}/a", content=b"a")
    assert info(hub, repo)["sha"] == first


def test_equal_files_of_two_versions_are_two_commits(
    hub: httpx2.Client, make_repo: Callable[..., Repo], add_version: Callable[..., int]
) -> None:
    repo = make_repo({"a": b"a"})
    add_version(repo.project, repo.model, {"a": b"a"}, "2.0.0")
    assert info(hub, repo, "1.0.0")["sha"] != info(hub, repo, "2.0.0")["sha"]


def test_a_commit_is_of_its_own_repository_alone(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    one, other = make_repo(), make_repo()
    commit = info(hub, one)["sha"]
    assert refused(hub.get(f"/api/models/{other.id}/revision/{commit}"))[:2] == (404, "RevisionNotFound")


def test_commits_end_with_their_version(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo()
    commit = info(hub, repo)["sha"]
    gone = root.request(
        "DELETE",
        f"/projects/{repo.project}/{MLFLOW}/model-versions/delete",
        json={"name": repo.model, "version": "1.0.0"},
    )
    assert gone.is_success
    assert refused(hub.get(f"/api/models/{repo.id}/revision/{commit}"))[:2] == (404, "RevisionNotFound")


def test_a_version_keeps_no_more_commits_than_its_bound(
    monkeypatch: pytest.MonkeyPatch, hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    monkeypatch.setattr(kept_commits, "MAX_COMMITS", 3)
    repo = make_repo({})
    told = []
    for i in range(5):
        root.put(f"{repo.files}/f", content=str(i).encode())
        told.append(info(hub, repo)["sha"])
    statuses = [hub.get(f"/api/models/{repo.id}/revision/{commit}").status_code for commit in told]
    assert statuses == [404, 404, 200, 200, 200]


def test_the_newest_commit_is_kept_however_large_it_is(
    monkeypatch: pytest.MonkeyPatch, hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    monkeypatch.setattr(kept_commits, "MAX_KEPT_BYTES", 1)
    repo = make_repo()
    first = info(hub, repo)["sha"]
    root.put(f"{repo.files}/f", content=b"f")
    assert names(hub, repo, info(hub, repo)["sha"]) == ["config.json", "f"]
    assert hub.get(f"/api/models/{repo.id}/revision/{first}").status_code == 404


def test_commits_are_the_same_after_a_restart(tmp_path: Path) -> None:
    def client(live: LiveServer) -> httpx2.Client:
        return httpx2.Client(base_url=live.url, headers={"Authorization": f"Bearer {live.root_token}"}, timeout=30)

    with running(tmp_path) as live, client(live) as root:
        project = root.post("/api/v4/projects", json={"name": "m"}).json()["id"]
        mlflow = f"/api/v4/projects/{project}/{MLFLOW}"
        root.post(f"{mlflow}/registered-models/create", json={"name": "m"})
        version = root.post(f"{mlflow}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
        files = f"/api/v4/projects/{project}/packages/ml_models/{version}/files"
        root.put(f"{files}/a", content=b"a")
        old = root.get(f"/api/models/{OWNER}/m").json()
        root.put(f"{files}/b", content=b"b")
        new = root.get(f"/api/models/{OWNER}/m").json()
    with running(tmp_path) as live, client(live) as root:
        assert root.get(f"/api/models/{OWNER}/m/revision/{old['sha']}").json() == old
        assert root.get(f"/api/models/{OWNER}/m").json() == new
