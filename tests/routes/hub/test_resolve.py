"""Files by repository, revision and name: HEAD from what is known, GET with its bytes, both the direct way."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.conftest import MLFLOW, Account
from tests.live import LiveServer
from tests.routes.hub.conftest import Repo
from tests.routes.hub.test_names import refused

LARGE = bytes(range(256)) * 4096  # past what is read whole
ODD = [
    *(
        "sp ace",
        "plus+",
        "é.txt",
        "#hash",
        "per%25cent",
        "a/b/c d.bin",
        "q?x=1&y",
        "~-_.!*'()",
        "🚀.bin",
        "semi;colon:",
    ),
    *("[x]", "a,b", "resolve/main/f", "\u00a0", "a\u200db"),
]


def url(repo: Repo, name: str, revision: str = "main") -> str:
    return f"/{repo.id}/resolve/{quote(revision, safe='')}/{quote(name)}"


def test_head_says_what_the_clients_need(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    for content in (b"{}", b"", LARGE):
        repo = make_repo({"f": content})
        answer = hub.head(url(repo, "f"), headers={"Accept-Encoding": "identity"})
        digest = hashlib.sha256(content).hexdigest()
        assert answer.status_code == 200
        assert answer.headers["x-repo-commit"] == hub.get(f"/api/models/{repo.id}").json()["sha"]
        assert answer.headers["etag"] == answer.headers["x-linked-etag"] == f'"{digest}"'
        assert answer.headers["content-length"] == answer.headers["x-linked-size"] == str(len(content))
        assert answer.headers["accept-ranges"] == "bytes"
        assert "location" not in answer.headers


def test_head_and_get_say_the_same_and_nothing_is_compressed(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    for content in (b"{}", b"", LARGE):
        repo = make_repo({"f": content})
        for revision in ("main", "1.0.0", "v1.0.0", hub.get(f"/api/models/{repo.id}").json()["sha"]):
            said = [
                {name: value for name, value in answer.headers.items() if name not in {"date", "x-request-id"}}
                for answer in (
                    hub.head(url(repo, "f", revision), headers={"Accept-Encoding": "gzip, deflate"}),
                    hub.get(url(repo, "f", revision), headers={"Accept-Encoding": "gzip, deflate"}),
                )
            ]
            assert said[0] == said[1]
            assert "content-encoding" not in said[0]
            assert hub.get(url(repo, "f", revision)).content == content
            assert not any(name.startswith("x-xet") for name in said[0])


@pytest.mark.parametrize("content", [b"0123456789", LARGE], ids=["small", "large"])
def test_ranges_are_those_of_the_file_api(hub: httpx2.Client, make_repo: Callable[..., Repo], content: bytes) -> None:
    repo = make_repo({"f": content})
    size = len(content)
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        (f"bytes=0-{size + 100_000}", 0, size - 1),
        ("bytes=-3", size - 3, size - 1),
        ("bytes=4-", 4, size - 1),
        ("bytes=2-5", 2, 5),
    ):
        answer = hub.get(url(repo, "f"), headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, content[first : last + 1])
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{size}"
        assert len(answer.headers["x-repo-commit"]) == 40
        assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    beyond = hub.get(url(repo, "f"), headers={"Range": f"bytes={size}-"})
    assert refused(beyond)[0] == 416
    assert beyond.headers["content-range"] == f"bytes */{size}"


def test_what_the_client_has_is_not_sent_again(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo({"f": b"content"})
    tag = hub.head(url(repo, "f")).headers["etag"]
    for method in ("HEAD", "GET"):
        same = hub.request(method, url(repo, "f"), headers={"If-None-Match": tag})
        assert (same.status_code, same.content, len(same.headers["x-repo-commit"])) == (304, b"", 40)
        assert hub.request(method, url(repo, "f"), headers={"If-None-Match": '"other"'}).status_code == 200
        failed = hub.request(method, url(repo, "f"), headers={"If-Match": '"other"'})
        assert (failed.status_code, failed.headers["x-error-message"]) == (412, "412 Precondition Failed")


@pytest.mark.parametrize("name", ODD)
def test_every_name_that_the_file_api_takes_is_found(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo], name: str
) -> None:
    repo = make_repo({})
    assert root.put(f"{repo.files}/{quote(name)}", content=name.encode()).status_code == 201
    assert hub.get(url(repo, name)).content == name.encode()
    assert hub.head(url(repo, name)).headers["content-length"] == str(len(name.encode()))
    if "/" in name:
        assert hub.get(f"/{repo.id}/resolve/main/{quote(name, safe='')}").content == name.encode()
    info = hub.get(f"/api/models/{repo.id}").json()
    assert info["siblings"] == [{"rfilename": name}]


@pytest.mark.parametrize(
    "name",
    ["missing", "f/x", "%0A", "a%00b", "f%0Ax", "..%2F..%2Fetc%2Fpasswd", "x" * 1024, "%2F", "folder", "folder/"],
)
def test_a_missing_file_is_told_with_its_commit(hub: httpx2.Client, make_repo: Callable[..., Repo], name: str) -> None:
    repo = make_repo({"f": b"f", "folder/g": b"g"})
    commit = hub.get(f"/api/models/{repo.id}").json()["sha"]
    for revision in ("main", commit):
        missing = hub.get(f"/{repo.id}/resolve/{revision}/{name}")
        assert refused(missing)[:2] == (404, "EntryNotFound")
        assert missing.headers["x-repo-commit"] == commit
        head = hub.head(f"/{repo.id}/resolve/{revision}/{name}")
        assert head.headers["x-error-code"] == "EntryNotFound"
        assert head.headers["x-repo-commit"] == commit


@pytest.mark.parametrize("name", ["x" * 1025, "%", "%ff", "%zz", "a/" * 600 + "b"])
def test_a_name_that_none_can_have_is_a_bad_request(
    hub: httpx2.Client, make_repo: Callable[..., Repo], name: str
) -> None:
    assert refused(hub.get(f"/{make_repo().id}/resolve/main/{name}")) == (400, None, "path is invalid")


@pytest.mark.parametrize(
    "revision", ["2.0.0", "refs%2Fpr%2F1", "%2E%2E", "a%00", "x" * 300, "0" * 40, "%ff", "x" * 9000]
)
def test_a_missing_revision_is_told(hub: httpx2.Client, make_repo: Callable[..., Repo], revision: str) -> None:
    path = f"/{make_repo().id}/resolve/{revision}/config.json"
    assert refused(hub.get(path))[:2] == (404, "RevisionNotFound")
    assert hub.head(path).headers["x-error-code"] == "RevisionNotFound"


def test_what_one_may_not_see_is_missing(
    hub_client: Callable[[str | None], httpx2.Client], make_repo: Callable[..., Repo], make_user: Callable[..., Account]
) -> None:
    repo, person = make_repo(), hub_client(make_user().token)
    for client in (person, hub_client(None)):
        for path in (url(repo, "config.json"), "/no/where/resolve/main/config.json", "/a--b/c/resolve/main/f"):
            assert refused(client.get(path)) == (404, "RepoNotFound", "Repository not found")
            assert client.head(path).headers["x-error-code"] == "RepoNotFound"
    public = make_repo(visibility="public")
    assert hub_client(None).get(url(public, "config.json")).content == b"{}"


def test_a_wrong_token_is_refused_also_for_what_is_public(
    stranger: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo(visibility="public")
    for _again in range(2):
        assert stranger.get(url(repo, "config.json")).status_code == 200
        answer = stranger.head(url(repo, "config.json"), headers={"Authorization": "Bearer hf_x"})
        assert answer.status_code == 401
        assert answer.headers["x-error-message"] == "Invalid credentials in Authorization header"
        assert "x-error-code" not in answer.headers


def test_who_may_read_no_more_is_refused_with_the_next_request(
    root: httpx2.Client,
    hub_client: Callable[[str | None], httpx2.Client],
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
) -> None:
    repo, person = make_repo(), make_user()
    member = f"/projects/{repo.project}/members"
    root.post(member, json={"user_id": person.id, "access_level": 10})
    client = hub_client(person.token)
    assert [client.get(url(repo, "config.json")).status_code for _ in range(3)] == [200] * 3
    root.delete(f"{member}/{person.id}")
    assert refused(client.get(url(repo, "config.json")))[:2] == (404, "RepoNotFound")


def test_a_new_file_is_found_at_once_and_an_old_commit_does_not_get_it(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    """As a snapshot that began before the change ends."""
    repo = make_repo({"a": b"old", "gone": b"gone"})
    commit = hub.head(url(repo, "a")).headers["x-repo-commit"]
    root.put(f"{repo.files}/a", content=b"new")
    root.put(f"{repo.files}/b", content=b"b")
    root.delete(f"/projects/{repo.project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/{repo.version}/gone")
    assert [hub.get(url(repo, name)).content for name in ("a", "b")] == [b"new", b"b"]
    assert refused(hub.get(url(repo, "gone")))[1] == "EntryNotFound"
    assert [hub.get(url(repo, name, commit)).content for name in ("a", "gone")] == [b"old", b"gone"]
    assert refused(hub.get(url(repo, "b", commit)))[1] == "EntryNotFound"
    assert hub.head(url(repo, "a")).headers["x-repo-commit"] != commit


def test_a_deleted_version_is_gone_under_its_commits_too(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({"a": b"a"})
    commit = hub.head(url(repo, "a")).headers["x-repo-commit"]
    body = {"name": repo.model, "version": "1.0.0"}
    assert root.request("DELETE", f"/projects/{repo.project}/{MLFLOW}/model-versions/delete", json=body).is_success
    for revision in ("1.0.0", commit):
        assert refused(hub.get(url(repo, "a", revision)))[:2] == (404, "RevisionNotFound")


def test_a_download_counts_as_one_and_head_does_not(
    server: LiveServer, hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({"f": b"f"})

    def last() -> Any:
        asyncio.run(server.app.state.usage.write(0))
        return root.get(f"/projects/{repo.project}/packages").json()[0]["last_downloaded_at"]

    hub.head(url(repo, "f"))
    hub.get(f"/api/models/{repo.id}")
    assert last() is None
    hub.get(url(repo, "f"))
    assert last() is not None
