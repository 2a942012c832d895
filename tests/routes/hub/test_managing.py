"""Repositories that are made, changed and deleted, and versions as branches and tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import Account
from tests.live import LiveServer
from tests.routes.hub.conftest import ROOT, Hub, Repo
from tests.routes.hub.sending import commit, digests, file, files
from tests.routes.hub.test_names import refused


def create(client: httpx2.Client, name: str, **body: object) -> httpx2.Response:
    return client.post("/api/repos/create", json={"name": name, "organization": None, "type": "model", **body})


def delete(client: httpx2.Client, repo: str) -> httpx2.Response:
    organization, _, name = repo.partition("/")
    return client.request("DELETE", "/api/repos/delete", json={"name": name, "organization": organization})


def test_a_repository_is_a_project_with_a_model(hub: httpx2.Client, root: httpx2.Client, server: LiveServer) -> None:
    made = create(hub, "made-1")
    assert made.status_code == 200
    assert made.json() == {"url": f"{server.url}/{ROOT}/made-1", "name": "root/made-1"}
    project = root.get("/projects/root%2Fmade-1").json()
    assert project["visibility"] == "private"
    assert files(hub, "root/made-1") == {}


def test_one_that_is_there_is_a_conflict_with_its_url(
    hub: httpx2.Client, make_repo: Callable[..., Repo], server: LiveServer
) -> None:
    repo = make_repo()
    namespace, _, name = repo.id.partition("/")
    for asked in (name, name.upper()):
        again = create(hub, asked, organization=namespace)
        assert again.status_code == 409
        assert again.json()["url"] == f"{server.url}/{repo.id}"
        assert again.headers["x-error-message"]


@pytest.mark.parametrize(
    ("told", "visibility"),
    [
        ({}, "private"),
        ({"private": True}, "private"),
        ({"private": False}, "public"),
        ({"visibility": "public"}, "public"),
        ({"visibility": "internal"}, "internal"),
    ],
)
def test_whoever_is_to_see_it_is_told_in_either_way(
    hub: httpx2.Client, root: httpx2.Client, told: dict[str, Any], visibility: str
) -> None:
    name = f"seen-{'-'.join(map(str, told.values())).lower() or 'none'}"
    assert create(hub, name, **told).status_code == 200
    assert root.get(f"/projects/root%2F{name}").json()["visibility"] == visibility


def test_any_model_of_a_project_is_made_by_its_long_name(
    hub: httpx2.Client, make_project: Callable[..., dict[str, Any]]
) -> None:
    project = make_project()
    joined = project["path_with_namespace"].replace("/", "__")
    assert create(hub, "one", organization=joined).status_code == 200
    assert create(hub, "two", organization=joined).json()["name"] == f"{joined}/two"
    assert refused(create(hub, "x", organization="root__not-there"))[:2] == (404, "RepoNotFound")


@pytest.mark.parametrize("name", ["a--b", "a b", "", ".a", "x" * 97, "a/b", "a.git"])
def test_a_name_that_the_clients_do_not_take_is_refused(hub: httpx2.Client, name: str) -> None:
    assert refused(create(hub, name))[0] == 400


def test_what_is_no_model_is_refused(hub: httpx2.Client) -> None:
    for kind in ("dataset", "space"):
        assert refused(create(hub, "d", type=kind))[:2] == (404, "RepoNotFound")
    assert refused(create(hub, "d", type="thing"))[0] == 400


def test_strangers_readers_and_others_make_nothing(
    stranger: httpx2.Client,
    hub_client: Hub,
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
) -> None:
    user = make_user()
    assert refused(create(stranger, "mine"))[0] == 401
    assert refused(create(hub_client(user.token), "mine", organization="root"))[0] == 403
    reading = make_token(user.id, scopes=["read_api"])["token"]
    assert refused(create(hub_client(reading), "mine"))[0] == 403
    assert create(hub_client(user.token), "mine").json()["name"] == f"{user.username}/mine"


def test_a_repository_goes_with_its_project_unless_more_is_in_it(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo], add_version: Callable[..., int]
) -> None:
    alone, beside = make_repo(), make_repo()
    add_version(beside.project, "other", {})
    for repo in (alone, beside):
        assert delete(hub, repo.id).status_code == 200
        assert refused(delete(hub, f"{repo.id.replace('/', '__')}/{repo.model}"))[:2] == (404, "RepoNotFound")
    assert root.get(f"/projects/{alone.project}").status_code == 404
    assert root.get(f"/projects/{beside.project}").status_code == 200


def test_only_who_may_write_deletes(
    root: httpx2.Client,
    stranger: httpx2.Client,
    hub_client: Hub,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
) -> None:
    repo, reporter, nobody = make_repo(), make_user(), make_user()
    root.post(f"/projects/{repo.project}/members", json={"user_id": reporter.id, "access_level": 20})
    assert refused(delete(stranger, repo.id))[0] == 401
    assert refused(delete(hub_client(nobody.token), repo.id))[:2] == (404, "RepoNotFound")
    assert refused(delete(hub_client(reporter.token), repo.id))[0] == 403
    root.put(f"/projects/{repo.project}/members/{reporter.id}", json={"access_level": 30})
    assert delete(hub_client(reporter.token), repo.id).status_code == 200
    assert root.get(f"/projects/{repo.project}").status_code == 200  # which is its owners'


def test_owners_change_who_sees_it(
    hub: httpx2.Client,
    root: httpx2.Client,
    hub_client: Hub,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
) -> None:
    repo, maintainer = make_repo(), make_user()
    root.post(f"/projects/{repo.project}/members", json={"user_id": maintainer.id, "access_level": 40})
    path = f"/api/models/{repo.id}/settings"
    assert hub.put(path, json={"private": False}).json() == {"private": False, "visibility": "public", "gated": False}
    assert hub.put(path, json={"visibility": "private"}).json()["private"] is True
    assert hub.put(path, json={"gated": False}).json()["private"] is True
    assert refused(hub.put(path, json={"gated": "auto"}))[0] == 501
    assert refused(hub.put(path, json={"visibility": "protected"}))[0] == 400
    assert refused(hub_client(maintainer.token).put(path, json={"private": False}))[0] == 403


def test_moving_is_refused_in_words(hub: httpx2.Client, stranger: httpx2.Client) -> None:
    body = {"fromRepo": "root/a", "toRepo": "root/b", "type": "model"}
    status, code, sentence = refused(hub.post("/api/repos/move", json=body))
    assert (status, code) == (501, "NotOffered")
    assert "rename" in sentence
    assert refused(stranger.post("/api/repos/move", json=body))[0] == 401


def test_a_card_is_taken_as_it_is(hub: httpx2.Client, stranger: httpx2.Client) -> None:
    body = {"content": "---\nlicense: [\n---\n" + "x" * 100_000, "repoType": "model"}
    assert hub.post("/api/validate-yaml", json=body).json() == {"errors": [], "warnings": []}
    assert refused(stranger.post("/api/validate-yaml", json=body))[0] == 401


def test_a_branch_and_a_tag_are_versions_with_the_files_of_where_they_begin(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({"a": b"a"})
    base = f"/api/models/{repo.id}"
    old = hub.get(base).json()["sha"]
    commit(hub, repo.id, file("b", b"b"))
    assert hub.post(f"{base}/branch/2.0.0", json={}).status_code == 200
    assert hub.post(f"{base}/branch/v3.0.0", json={"startingPoint": old}).status_code == 200
    assert hub.post(f"{base}/branch/4.0.0", json={"emptyBranch": True}).status_code == 200
    assert hub.post(f"{base}/tag/1.0.0", json={"tag": "0.1.0", "message": "m"}).status_code == 200
    assert files(hub, repo.id, "2.0.0") == files(hub, repo.id, "0.1.0") == digests(a=b"a", b=b"b")
    assert files(hub, repo.id, "3.0.0") == digests(a=b"a")
    assert files(hub, repo.id, "4.0.0") == {}
    model = root.get(f"/projects/{repo.project}/ml/mlflow/api/2.0/mlflow/model-versions/search").json()
    assert {each["tags"][0]["value"] for each in model["model_versions"]} == {
        "0.1.0",
        "1.0.0",
        "2.0.0",
        "3.0.0",
        "4.0.0",
    }


def test_versions_that_are_there_names_that_are_none_and_places_that_are_not_are_refused(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo()
    base = f"/api/models/{repo.id}"
    for name in ("1.0.0", "v1.0.0", "main"):
        assert refused(hub.post(f"{base}/branch/{name}", json={}))[0] == 409
        assert refused(hub.post(f"{base}/tag/main", json={"tag": name}))[0] == 409
    for name in ("feature%2Fx", "1.0", "latest", "refs%2Fpr%2F1", "01.0.0"):
        status, _code, sentence = refused(hub.post(f"{base}/branch/{name}", json={}))
        assert (status, "semantic version" in sentence) == (400, True)
    assert refused(hub.post(f"{base}/branch/%00", json={}))[:2] == (404, "RevisionNotFound")
    for start in ("9.9.9", "0" * 40, "\0"):
        answer = hub.post(f"{base}/branch/5.0.0", json={"startingPoint": start})
        assert refused(answer)[0] in {400, 404}
    assert refused(hub.get(f"{base}/revision/5.0.0"))[:2] == (404, "RevisionNotFound")


def test_a_deleted_branch_or_tag_is_a_deleted_version(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo()
    base = f"/api/models/{repo.id}"
    for kind in ("branch", "tag"):
        hub.post(f"{base}/branch/2.0.0", json={})
        assert hub.delete(f"{base}/{kind}/2.0.0").status_code == 200
        assert refused(hub.delete(f"{base}/{kind}/2.0.0"))[:2] == (404, "RevisionNotFound")
        assert refused(hub.delete(f"{base}/{kind}/main"))[0] == 400


def test_a_version_is_made_by_who_may_write(
    stranger: httpx2.Client,
    hub_client: Hub,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
) -> None:
    repo, user = make_repo(visibility="public"), make_user()
    for method, path in (("POST", "branch/2.0.0"), ("POST", "tag/main"), ("DELETE", "branch/1.0.0")):
        for client, status in ((stranger, 401), (hub_client(user.token), 403)):
            body = {"tag": "2.0.0"} if path.startswith("tag") else {}
            assert refused(client.request(method, f"/api/models/{repo.id}/{path}", json=body))[0] == status


def test_a_version_that_begins_with_others_files_counts_towards_the_quota(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({"a": b"x" * 60})
    assert root.put(f"/projects/{repo.project}", json={"storage_limit": 100}).status_code == 200
    assert refused(hub.post(f"/api/models/{repo.id}/branch/2.0.0", json={}))[0] == 403
    assert refused(hub.get(f"/api/models/{repo.id}/revision/2.0.0"))[:2] == (404, "RevisionNotFound")
