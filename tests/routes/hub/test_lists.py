"""Lists of models, who asks, and what there is not here."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from modelyard.routes.hub import lists
from tests.conftest import MLFLOW, Account
from tests.routes.hub.conftest import Hub, Repo
from tests.routes.hub.test_names import refused


def ids(client: httpx2.Client, **query: object) -> list[str]:
    answer = client.get("/api/models", params={k: str(v) for k, v in query.items()})
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()]


@pytest.fixture
def space(root: httpx2.Client, add_version: Callable[..., int]) -> dict[str, str]:
    """Projects of one namespace, of each visibility, and one that lies deeper."""
    name = f"space-{secrets.token_hex(4)}"
    for visibility in ("public", "internal", "private"):
        body = {"name": visibility, "namespace_path": name, "visibility": visibility}
        made = root.post("/projects", json=body).json()
        add_version(made["id"], visibility, {"f": b"f"})
    deep = root.post("/projects", json={"name": "deep", "namespace_path": f"{name}/er"}).json()
    for model in ("one", "two", "no name here"):
        add_version(deep["id"], model, {})
    return {"name": name, "deep": f"{name}__er__deep"}


def test_models_are_listed_by_author_and_search_the_newest_first(hub: httpx2.Client, space: dict[str, str]) -> None:
    name, deep = space["name"], space["deep"]
    mine = [f"{name}/{visibility}" for visibility in ("private", "internal", "public")]
    assert ids(hub, author=name) == [f"{deep}/two", f"{deep}/one", *mine]
    assert ids(hub, author=name.upper(), search="rnal") == [f"{name}/internal"]
    assert ids(hub, author=deep) == [f"{deep}/two", f"{deep}/one"]
    assert ids(hub, search=f"{name}/p") == [f"{name}/private", f"{name}/public"]
    assert ids(hub, author=name, sort="createdAt", direction=1)[0] == f"{name}/public"
    assert sorted(ids(hub, author=name, sort="lastModified")) == sorted(ids(hub, author=name, sort="downloads"))
    assert ids(hub, author=name, search="%") == ids(hub, author="no-body") == ids(hub, author=name, filter="gguf") == []


def test_only_what_the_caller_sees_is_listed(
    hub_client: Hub, space: dict[str, str], make_user: Callable[..., Account]
) -> None:
    name = space["name"]
    assert ids(hub_client(None), author=name) == [f"{name}/public"]
    assert ids(hub_client(make_user().token), author=name) == [f"{name}/internal", f"{name}/public"]


def test_pages_follow_each_other_by_links(
    monkeypatch: pytest.MonkeyPatch, hub: httpx2.Client, space: dict[str, str]
) -> None:
    for query in ("limit=2", "limit=2&direction=1", "limit=1&full=True", "limit=2&sort=lastModified"):
        found, url = [], f"/api/models?author={space['name']}&{query}"
        while url:
            answer = hub.get(url)
            assert len(answer.json()) <= 2
            found += [each["id"] for each in answer.json()]
            url = answer.links.get("next", {}).get("url", "")
        assert sorted(found) == sorted(ids(hub, author=space["name"]))
        assert len(found) == 5
    monkeypatch.setattr(lists, "MAX_MODELS", 2)
    assert ids(hub, author=space["name"], limit=100) == ids(hub, author=space["name"], limit=2)


def test_a_list_tells_files_where_it_is_asked_for_them(hub: httpx2.Client, space: dict[str, str]) -> None:
    base = f"/api/models?author={space['name']}&search=private"
    (brief,) = hub.get(base).json()
    assert "siblings" not in brief
    assert brief["private"] is True
    (full,) = hub.get(f"{base}&full=True").json()
    assert full["siblings"] == [{"rfilename": "f"}]
    assert full["sha"] == hub.get(f"/api/models/{brief['id']}").json()["sha"]
    (some,) = hub.get(f"{base}&expand=sha&expand=xetEnabled&expand=gated").json()
    assert set(some) == {"id", "sha", "gated"}
    (one,) = hub.get(f"{base}&expand=private").json()
    assert one == {"id": brief["id"], "private": True}


@pytest.mark.parametrize(
    "query",
    ["cursor=x", "cursor=1", "cursor=1.x", "cursor=-1.2", "limit=0", "limit=x", "direction=2", "search=" + "x" * 5000],
)
def test_a_query_that_makes_no_sense_is_a_bad_request(hub: httpx2.Client, query: str) -> None:
    assert refused(hub.get(f"/api/models?{query}"))[0] == 400


def test_a_cursor_beyond_all_numbers_leads_to_nothing_more(hub: httpx2.Client, space: dict[str, str]) -> None:
    assert ids(hub, author=space["name"], cursor=f"{10**19 - 1}.{10**19 - 1}", direction=1) == []
    assert len(ids(hub, author=space["name"], cursor=f"{10**19 - 1}.1")) == 5


def test_info_tells_what_is_asked_for_and_no_more(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo({"f": b"ff", "g": b""})
    plain = hub.get(f"/api/models/{repo.id}").json()
    assert plain["usedStorage"] == 2
    assert plain["siblings"] == [{"rfilename": "f"}, {"rfilename": "g"}]
    assert plain["createdAt"].endswith("Z")
    assert plain["lastModified"].endswith("Z")
    detailed = hub.get(f"/api/models/{repo.id}?blobs=True&securityStatus=True").json()
    assert detailed["securityRepoStatus"] == {"scansDone": False, "filesWithIssues": []}
    assert [(each["size"], each["lfs"]["pointerSize"]) for each in detailed["siblings"]] == [(2, 126), (0, 126)]
    some = hub.get(f"/api/models/{repo.id}?expand[]=sha&expand[]=nothing&expand[]=siblings").json()
    assert some == {"id": repo.id, "sha": plain["sha"], "siblings": plain["siblings"]}
    assert hub.get(f"/api/models/{repo.id}?expand=usedStorage").json() == {"id": repo.id, "usedStorage": 2}
    assert hub.head(f"/api/models/{repo.id}").status_code == 200
    for query in ("blobs=maybe", "expand=" + "a," * 101):
        assert refused(hub.get(f"/api/models/{repo.id}?{query}"))[0] == 400


def test_who_asks_is_told_with_the_token_and_namespaces(
    root: httpx2.Client,
    hub_client: Hub,
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
    space: dict[str, str],
) -> None:
    person = make_user()
    project = root.get(f"/projects/{space['name']}%2Fprivate").json()["id"]
    root.post(f"/projects/{project}/members", json={"user_id": person.id, "access_level": 30})
    reading = make_token(person.id, ("read_api",))["token"]
    for token, role in ((person.token, "write"), (reading, "read")):
        who = hub_client(token).get("/api/whoami-v2").json()
        assert (who["type"], who["name"]) == ("user", person.username)
        assert who["orgs"] == [{"type": "org", "name": space["name"]}]
        assert who["auth"]["accessToken"] == {"displayName": "test", "role": role}
    assert refused(hub_client(None).get("/api/whoami-v2"))[:2] == (401, None)


def test_agents_are_told_apart_by_nothing(hub: httpx2.Client, stranger: httpx2.Client) -> None:
    for client in (hub, stranger):
        assert client.get("/api/agent-harnesses").json() == {"standardEnvVars": [], "harnesses": {}}


def test_access_is_checked_for_reading_and_writing(
    root: httpx2.Client,
    hub_client: Hub,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
) -> None:
    repo, guest, developer = make_repo(visibility="public"), make_user(), make_user()
    for person, level in ((guest, 10), (developer, 30)):
        root.post(f"/projects/{repo.project}/members", json={"user_id": person.id, "access_level": level})
    base = f"/api/models/{repo.id}/auth-check"
    for token in (None, guest.token, developer.token):
        assert hub_client(token).get(base).json() == {}
    assert hub_client(developer.token).get(f"{base}/write").json() == {}
    assert refused(hub_client(guest.token).get(f"{base}/write")) == (403, None, "403 Forbidden")
    assert refused(hub_client(None).get(f"{base}/write"))[:2] == (401, None)
    reading = make_token(developer.id, ("read_api",))["token"]
    assert "privileges" in refused(hub_client(reading).get(f"{base}/write"))[2]


@pytest.mark.parametrize(
    "path",
    [
        *("/api/datasets", "/api/datasets/a/b", "/api/datasets/a/b/revision/main", "/api/spaces/a/b", "/api/spaces"),
        *("/datasets/a/b/resolve/main/f", "/spaces/a/b/resolve/main/f", "/api/models/gpt2", "/gpt2/resolve/main/f"),
        *("/api/models/gpt2/revision/main", "/api/models/gpt2/tree/main", "/api/kernels/a/b", "/api/buckets/a/b"),
    ],
)
def test_what_is_no_model_here_is_no_repository(hub: httpx2.Client, stranger: httpx2.Client, path: str) -> None:
    for client in (hub, stranger):
        status, code, text = refused(client.get(path))
        assert (status, code, text.startswith("Repository not found")) == (404, "RepoNotFound", True)
        assert client.head(path).headers["x-error-code"] == "RepoNotFound"
    assert refused(stranger.get(path, headers={"Authorization": "Bearer hf_wrong"}))[0] == 401


@pytest.mark.parametrize("path", ["discussions", "discussions/1", "lfs-files", "super-squash/main"])
def test_discussions_and_histories_of_git_are_not_offered(
    hub: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo], path: str
) -> None:
    """An empty list of discussions would make transformers ask a public service for a conversion."""
    repo = make_repo()
    for method in ("GET", "POST"):
        assert refused(hub.request(method, f"/api/models/{repo.id}/{path}"))[:2] == (501, "NotOffered")
        assert refused(stranger.request(method, f"/api/models/{repo.id}/{path}"))[:2] == (404, "RepoNotFound")


def test_a_project_is_a_repository_as_soon_as_it_has_a_model(root: httpx2.Client, hub: httpx2.Client) -> None:
    made = root.post("/projects", json={"name": f"bare-{secrets.token_hex(4)}"}).json()
    assert refused(hub.get(f"/api/models/{made['path_with_namespace']}"))[:2] == (404, "RepoNotFound")
    root.post(f"/projects/{made['id']}/{MLFLOW}/registered-models/create", json={"name": "odd name"})
    assert hub.get(f"/api/models/{made['path_with_namespace']}").json()["siblings"] == []
