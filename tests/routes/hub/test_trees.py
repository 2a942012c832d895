"""Files and folders, single ones and histories."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from modelyard.routes.hub import history, trees
from modelyard.terms.lfs import blob_id
from tests.conftest import MLFLOW
from tests.live import LiveServer
from tests.raw import exchange
from tests.routes.hub.conftest import Repo
from tests.routes.hub.sending import commit, file, lfs_file
from tests.routes.hub.test_names import refused

FILES = {"a": b"a", "b-c": b"1", "b/c": b"22", "b/d/e": b"333", "b/d/f": b"", "b.c": b"4", "z z/é": b"5"}
ALL = [
    *("a", "b-c", "b.c"),
    *("b/", "b/c", "b/d/", "b/d/e", "b/d/f"),
    *("z z/", "z z/é"),
]


def listed(client: httpx2.Client, repo: Repo, below: str = "main", **query: object) -> list[Any]:
    answer = client.get(f"/api/models/{repo.id}/tree/{below}", params={k: str(v) for k, v in query.items()})
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def paths(items: list[Any]) -> list[str]:
    return [item["path"] + ("/" if item["type"] == "directory" else "") for item in items]


def test_a_tree_lists_folders_and_files(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo(FILES)
    assert paths(listed(hub, repo, recursive=True)) == ALL
    assert paths(listed(hub, repo)) == ["a", "b-c", "b.c", "b/", "z z/"]
    assert paths(listed(hub, repo, "main/b")) == ["b/c", "b/d/"]
    assert paths(listed(hub, repo, "main/b", recursive="true")) == ["b/c", "b/d/", "b/d/e", "b/d/f"]
    for folder in ("b%2Fd", "b/d", "b/d/"):
        assert paths(listed(hub, repo, f"1.0.0/{folder}")) == ["b/d/e", "b/d/f"]
    assert paths(listed(hub, repo, "main/z%20z")) == ["z z/é"]
    siblings = hub.get(f"/api/models/{repo.id}").json()["siblings"]
    assert [each["rfilename"] for each in siblings] == [path for path in ALL if not path.endswith("/")]


def test_an_item_says_what_its_client_verifies(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo(FILES)
    item = listed(hub, repo, "main/b")[0]
    digest = hashlib.sha256(b"22").hexdigest()
    assert item == {
        "type": "file",
        "path": "b/c",
        "oid": blob_id(digest, 2),
        "size": 2,
        "lfs": {"oid": digest, "size": 2, "pointerSize": 126},
    }
    commit = hub.get(f"/api/models/{repo.id}").json()["sha"]
    for expanded in listed(hub, repo, expand=True):
        assert expanded["securityFileStatus"] is None
        assert (expanded["lastCommit"]["id"], expanded["lastCommit"]["title"]) == (commit, "Version 1.0.0")
        assert expanded["lastCommit"]["date"].endswith("Z")


@pytest.mark.parametrize(
    "folder", ["additional_chat_templates", "a", "b/c", "b/d/e/f", "B", "%0A", "b%0A", "..%2Fb", "é"]
)
def test_a_missing_folder_is_told_with_its_commit(
    hub: httpx2.Client, make_repo: Callable[..., Repo], folder: str
) -> None:
    repo = make_repo(FILES)
    answer = hub.get(f"/api/models/{repo.id}/tree/main/{folder}")
    assert refused(answer)[:2] == (404, "EntryNotFound")
    assert answer.headers["x-repo-commit"] == hub.get(f"/api/models/{repo.id}").json()["sha"]


def test_pages_follow_each_other_by_absolute_links_within_one_commit(
    monkeypatch: pytest.MonkeyPatch, hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo(FILES)
    found: list[str] = []
    url: str | None = f"/api/models/{repo.id}/tree/main?recursive=True&expand=False&limit=3"
    while url:
        answer = hub.get(url)
        found += paths(answer.json())
        url = answer.links.get("next", {}).get("url")
        assert url is None or url.startswith("http://127.0.0.1:")
        root.put(f"{repo.files}/000{len(found)}", content=b"later")
    assert found == ALL
    monkeypatch.setattr(trees, "MAX_ITEMS", 4)
    assert len(listed(hub, repo, recursive=True, limit=1000)) == 4


def test_a_large_tree_comes_in_pages_of_a_thousand(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    """Llama.cpp reads the first alone."""
    repo = make_repo({})
    names = [f"{n:04}" for n in range(2_500)]
    commit(hub, repo.id, file("0000", b"x"))
    commit(hub, repo.id, *(lfs_file(name, b"x") for name in names[1:]))
    pages: list[list[str]] = []
    url: str | None = f"/api/models/{repo.id}/tree/main?recursive=true&expand=false"
    while url:
        answer = hub.get(url)
        pages.append(paths(answer.json()))
        url = answer.links.get("next", {}).get("url")
    assert [len(each) for each in pages] == [1000, 1000, 500]
    assert [name for page in pages for name in page] == names


@pytest.mark.parametrize(
    "query",
    ["cursor=x", "cursor=" + "a" * 40, f"cursor={'a' * 40}.x", "limit=0", "recursive=maybe", "cursor=" + "a" * 65],
)
def test_a_query_that_makes_no_sense_is_a_bad_request(
    hub: httpx2.Client, make_repo: Callable[..., Repo], query: str
) -> None:
    assert refused(hub.get(f"/api/models/{make_repo().id}/tree/main?{query}"))[0] == 400


def test_a_page_of_another_repository_is_none(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    one, other = make_repo(FILES), make_repo(FILES)
    commit = hub.get(f"/api/models/{one.id}").json()["sha"]
    answer = hub.get(f"/api/models/{other.id}/tree/main?cursor={commit}.1")
    assert refused(answer)[:2] == (404, "RevisionNotFound")


def test_paths_are_shown_as_form_and_as_json_and_missing_ones_left_out(
    hub: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo(FILES, visibility="public")
    asked = ["b", "a", "missing", "b/d/e", "z z/é", "", "b\nx"]
    for client in (hub, stranger):
        for body in ({"data": {"paths": asked, "expand": "False"}}, {"json": {"paths": asked, "expand": True}}):
            answer = client.post(f"/api/models/{repo.id}/paths-info/main", **body)
            assert paths(answer.json()) == ["b/", "a", "b/d/e", "z z/é"]
            assert ("lastCommit" in answer.json()[0]) == ("json" in body)
    one = hub.post(f"/api/models/{repo.id}/paths-info/main", data={"paths": "a"})
    assert hub.post(f"/api/models/{repo.id}/paths-info/main", data={"paths": "a,b-c"}).json() == []
    assert one.json() == listed(hub, repo)[:1]


def test_bad_paths_are_refused_and_nobodys_large_body_is_read(
    server: LiveServer, hub: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo, private = make_repo(visibility="public"), make_repo()
    url = f"/api/models/{repo.id}/paths-info/main"
    for client in (hub, stranger):
        assert refused(client.post(url, content=b"{", headers={"Content-Type": "application/json"}))[0] == 400
        assert refused(client.post(url, json={"paths": ["x"] * 1001}))[0] == 400
        assert refused(client.post(url, json={"paths": ["x" * 1025]}))[0] == 400
        assert refused(client.post(url, json={"paths": [1]}))[0] == 400
        assert refused(client.post(url, content=b"x" * 100_000))[0] == 413
        missing = client.post(f"/api/models/{repo.id}/paths-info/2.0.0", json={"paths": ["x"]})
        assert refused(missing)[:2] == (404, "RevisionNotFound")
    head = f"POST /api/models/{private.id}/paths-info/main HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n"
    assert exchange(server, head.encode()).status == 404  # before any of the body has come


def test_refs_are_versions_as_tags_and_the_newest_as_main(
    hub: httpx2.Client, make_repo: Callable[..., Repo], add_version: Callable[..., int]
) -> None:
    repo = make_repo()
    add_version(repo.project, repo.model, {"f": b"f"}, "2.0.0")
    refs = hub.get(f"/api/models/{repo.id}/refs").json()
    shas = {v: hub.get(f"/api/models/{repo.id}/revision/{v}").json()["sha"] for v in ("1.0.0", "2.0.0")}
    assert refs == {
        "branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": shas["2.0.0"]}],
        "tags": [{"name": v, "ref": f"refs/tags/{v}", "targetCommit": shas[v]} for v in ("2.0.0", "1.0.0")],
        "converts": [],
    }
    assert hub.get(f"/api/models/{repo.id}/refs?include_prs=1").json()["pullRequests"] == []


def test_commits_that_refs_tell_can_be_come_back_to(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    """As llama.cpp does, whose every call begins with them."""
    repo = make_repo({"f": b"f"})
    (branch,) = hub.get(f"/api/models/{repo.id}/refs").json()["branches"]
    root.put(f"{repo.files}/g", content=b"g")
    assert paths(listed(hub, repo, branch["targetCommit"], recursive=True)) == ["f"]
    assert hub.get(f"/{repo.id}/resolve/{branch['targetCommit']}/f").content == b"f"


def test_a_model_without_versions_has_a_main_branch(
    hub: httpx2.Client, root: httpx2.Client, make_project: Callable[..., dict[str, Any]]
) -> None:
    project = make_project()
    root.post(f"/projects/{project['id']}/{MLFLOW}/registered-models/create", json={"name": "m"})
    base = f"/api/models/{project['path_with_namespace']}"
    refs = hub.get(f"{base}/refs").json()
    assert (len(refs["branches"]), refs["tags"]) == (1, [])
    assert hub.get(f"{base}/tree/main").json() == []
    (only,) = hub.get(f"{base}/commits/main").json()
    assert only["id"] == refs["branches"][0]["targetCommit"]


def test_a_history_begins_with_the_commit_itself(
    monkeypatch: pytest.MonkeyPatch, hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({})
    told = []
    for i in range(5):
        root.put(f"{repo.files}/f", content=str(i).encode())
        told.append(hub.get(f"/api/models/{repo.id}").json()["sha"])
    root.put(f"{repo.files}/f", content=b"the last, which nobody was told")
    found, url = [], f"/api/models/{repo.id}/commits/main?limit=2"
    while url:
        answer = hub.get(url)
        found += answer.json()
        url = answer.links.get("next", {}).get("url", "")
    assert [each["id"] for each in found] == [hub.get(f"/api/models/{repo.id}").json()["sha"], *reversed(told)]
    assert all(each["date"].endswith("Z") and each["authors"] == [{"user": "root"}] for each in found)
    assert found[0]["title"] == "Version 1.0.0"
    earlier = hub.get(f"/api/models/{repo.id}/commits/{told[2]}").json()
    assert [each["id"] for each in earlier] == [told[2], told[1], told[0]]
    monkeypatch.setattr(history, "MAX_COMMITS", 3)
    assert len(hub.get(f"/api/models/{repo.id}/commits/main?limit=100").json()) == 3
    for query in ("p=-1", "limit=0", "p=x", "p=99999999999999999999"):
        assert refused(hub.get(f"/api/models/{repo.id}/commits/main?{query}"))[0] == 400
    assert hub.get(f"/api/models/{repo.id}/commits/main?p=1000").json() == []
