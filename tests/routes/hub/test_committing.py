"""Commits: what is asked before, all of it or nothing, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from modelyard.services.hub import committing, operations, reception
from tests.conftest import MLFLOW, Account
from tests.live import LiveServer
from tests.raw import exchange
from tests.routes.hub.conftest import ROOT, Hub, Repo
from tests.routes.hub.sending import (
    commit,
    digests,
    file,
    files,
    header,
    lfs_file,
    line,
    post,
    send_object,
    sha256,
)
from tests.routes.hub.test_names import refused


def ask(
    client: httpx2.Client, repo: str, *told: tuple[str, int], revision: str = "main", query: str = ""
) -> httpx2.Response:
    body = {"files": [{"path": path, "size": size, "sample": ""} for path, size in told]}
    return client.post(f"/api/models/{repo}/preupload/{revision}{query}", json=body)


def head(server: LiveServer, repo: Repo, length: int) -> bytes:
    """The head of a commit whose body is sent piece by piece."""
    lines = (
        f"POST /api/models/{repo.id}/commit/main HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {server.root_token}",
        f"Content-Length: {length}",
    )
    return "\r\n".join([*lines, "", ""]).encode()


def stored(server: LiveServer) -> int:
    """How many files there are, of whatever version."""
    connect = server.app.state.database.engine.connect
    with connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM package_files").scalar_one())


def test_all_of_a_commit_is_there_by_every_api(
    hub: httpx2.Client, root: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo], server: LiveServer
) -> None:
    repo, big = make_repo({"old": b"old", "kept": b"kept"}), b"big" * 100_000
    send_object(hub, stranger, repo.id, big)
    answer = post(
        hub,
        repo.id,
        [
            header(),
            file("a b+é#%.txt", b"odd"),
            file("empty", b""),
            lfs_file("sub/big", big),
            line("deletedFile", path="old"),
            line("copyFile", path="copy", srcPath="kept"),
        ],
    )
    told = answer.json()
    assert told["commitUrl"] == f"{server.url}/{repo.id}/commit/{told['commitOid']}"
    assert hub.get(f"/api/models/{repo.id}").json()["sha"] == told["commitOid"]
    contents = {"a b+é#%.txt": b"odd", "empty": b"", "sub/big": big, "kept": b"kept", "copy": b"kept"}
    assert files(hub, repo.id) == {name: sha256(content) for name, content in contents.items()}
    for name, content in contents.items():
        quoted = name.replace("%", "%25").replace("#", "%23")
        assert root.get(f"{repo.files}/{quoted}").content == content
    listed = root.get(f"/projects/{repo.project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts?path={repo.version}")
    assert {each["path"] for each in listed.json()["files"]} == {"a b+é#%.txt", "empty", "sub", "kept", "copy"}
    events = root.get(f"/projects/{repo.project}/audit_events").json()
    assert events[0]["event_name"] == "package_files_changed"


def test_the_first_commit_to_main_makes_the_first_version(hub: httpx2.Client, root: httpx2.Client) -> None:
    hub.post("/api/repos/create", json={"name": "first"})
    oid = commit(hub, "root/first", file("a", b"a"))
    assert files(hub, "root/first", "1.0.0") == digests(a=b"a")
    assert hub.get(f"/api/models/{ROOT}/first/revision/1.0.0").json()["sha"] == oid
    found = root.post(
        "/projects/root%2Ffirst/ml/mlflow/api/2.0/mlflow/registered-models/get-latest-versions", json={"name": "first"}
    )
    assert found.status_code == 200


def test_a_commit_without_any_change_makes_no_version_and_no_other_commit(hub: httpx2.Client) -> None:
    hub.post("/api/repos/create", json={"name": "nothing"})
    empty = hub.get(f"/api/models/{ROOT}/nothing").json()["sha"]
    assert commit(hub, "root/nothing") == empty
    first = commit(hub, "root/nothing", file("a", b"a"))
    assert commit(hub, "root/nothing", file("a", b"a"), summary="again") == first
    assert len(hub.get(f"/api/models/{ROOT}/nothing/refs").json()["tags"]) == 1


def test_operations_are_done_in_their_order(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo({"a": b"1", "d/e": b"e", "d/f/g": b"g"})
    commit(
        hub,
        repo.id,
        line("deletedFile", path="a"),
        file("a", b"2"),
        file("a", b"3"),
        line("deletedFolder", path="d/"),
        file("d/new", b"n"),
        line("copyFile", path="b", srcPath="a"),
    )
    assert files(hub, repo.id) == {"a": sha256(b"3"), "b": sha256(b"1"), "d/new": sha256(b"n")}


def test_a_commit_for_another_than_the_current_one_is_refused(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({"a": b"a"})
    base = hub.get(f"/api/models/{repo.id}").json()["sha"]
    commit(hub, repo.id, file("b", b"b"), parentCommit=base)
    answer = post(hub, repo.id, [header("other", parentCommit=base), file("c", b"c")])
    assert refused(answer)[0] == 412
    assert files(hub, repo.id) == digests(a=b"a", b=b"b")


def test_a_commit_that_is_sent_again_is_the_same_one(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo({"a": b"a", "gone": b"g"})
    base = hub.get(f"/api/models/{repo.id}").json()["sha"]
    lines = [header("once", parentCommit=base), file("b", b"b"), line("deletedFile", path="gone")]
    first = post(hub, repo.id, lines)
    again = post(hub, repo.id, lines)
    assert (again.status_code, again.json()) == (200, first.json())
    commit(hub, repo.id, file("c", b"c"))
    assert refused(post(hub, repo.id, lines))[0] == 412


def test_a_history_has_the_words_and_the_names_of_who_made_its_commits(
    hub: httpx2.Client,
    root: httpx2.Client,
    hub_client: Hub,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
) -> None:
    repo, user = make_repo({"a": b"a"}), make_user()
    root.post(f"/projects/{repo.project}/members", json={"user_id": user.id, "access_level": 30})
    first = hub.get(f"/api/models/{repo.id}").json()["sha"]
    lines = [line("header", summary="Better é", description="in two\nlines"), file("b", b"b")]
    assert post(hub_client(user.token), repo.id, lines).status_code == 200
    root.put(f"{repo.files}/c", content=b"c")
    told = hub.get(f"/api/models/{repo.id}/commits/main").json()
    by = ["root", user.username, "root"]
    assert [each["authors"] for each in told] == [[{"user": name}] for name in by]
    assert [each["title"] for each in told] == ["Version 1.0.0", "Better é", "Version 1.0.0"]
    assert [each["message"] for each in told] == ["", "in two\nlines", ""]
    assert told[-1]["id"] == first
    (item, *_rest) = hub.get(f"/api/models/{repo.id}/tree/{told[1]['id']}?expand=true").json()
    assert item["lastCommit"]["title"] == "Better é"
    root.delete(f"/users/{user.id}")
    assert hub.get(f"/api/models/{repo.id}/commits/{told[1]['id']}").json()[0]["authors"] == []


def test_what_is_copied_may_come_from_another_revision(
    hub: httpx2.Client, make_repo: Callable[..., Repo], add_version: Callable[..., int]
) -> None:
    repo = make_repo({"a": b"one"})
    old = hub.get(f"/api/models/{repo.id}").json()["sha"]
    commit(hub, repo.id, file("a", b"two"))
    add_version(repo.project, repo.model, {}, "2.0.0")
    commit(
        hub,
        repo.id,
        line("copyFile", path="now", srcPath="a", srcRevision="1.0.0"),
        line("copyFile", path="then", srcPath="a", srcRevision=old),
        revision="2.0.0",
    )
    assert files(hub, repo.id, "2.0.0") == digests(now=b"two", then=b"one")
    for source in ({"srcPath": "none"}, {"srcPath": "a", "srcRevision": "7.0.0"}):
        assert refused(post(hub, repo.id, [header(), line("copyFile", path="x", **source)]))[0] == 404


def test_a_file_that_is_here_already_is_named_by_its_digest(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo({"a": b"content"})
    commit(hub, repo.id, line("lfsFile", path="b", algo="sha256", oid=sha256(b"content")))
    assert files(hub, repo.id) == digests(a=b"content", b=b"content")


def test_nobody_gets_the_bytes_of_others_by_their_digest(
    hub: httpx2.Client,
    stranger: httpx2.Client,
    root: httpx2.Client,
    hub_client: Hub,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
) -> None:
    secret, mine, user = make_repo({"secret": b"secret"}), make_repo({}), make_user()
    root.post(f"/projects/{mine.project}/members", json={"user_id": user.id, "access_level": 30})
    send_object(hub, stranger, mine.id, b"sent by root")
    for content in (b"secret", b"sent by root", b"nobody's"):
        status, _code, sentence = refused(post(hub_client(user.token), mine.id, [header(), lfs_file("f", content)]))
        assert (status, "not been sent" in sentence) == (400, True)
    assert refused(post(hub, mine.id, [header(), lfs_file("f", b"secret")]))[0] == 400
    assert files(hub, mine.id) == {}
    assert files(hub, secret.id) == digests(secret=b"secret")


@pytest.mark.once
@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b" "],
        [file("a", b"a")],
        [header(), header(), file("a", b"a")],
        [header(), file("a", b"a"), header()],
        [header(), file("a", b"a"), header(), file("a", b"a")],
        [header(), file("ok", b"ok"), file("a", b"a")[:-5]],
        [header(), file("ok", b"ok"), b"[]"],
        [header(), file("ok", b"ok"), b"null"],
        [header(), b'{"key": "file"}'],
        [header(), b'{"value": {}}'],
        [header(), b'{"key": ["file"], "value": {}}'],
        [header(), file("ok", b"ok"), line("unknown", path="a")],
        [header(), line("file", path="a", encoding="utf-8", content="a")],
        [header(), line("file", path="a", encoding="base64", content="!")],
        [header(), line("file", path="a", encoding="base64", content=1)],
        [header(), line("file", path="a")],
        [header(), line("file", content="")],
        [header(), line("lfsFile", path="a")],
        [header(), line("lfsFile", path="a", oid="A" * 64)],
        [header(), line("lfsFile", path="a", oid="0" * 64, algo="md5")],
        [header(), line("lfsFile", path="a", oid="0" * 64, size=-1)],
        [header(), line("lfsFile", path="a", oid="0" * 64, size=True)],
        [header(), line("lfsFile", path="a", oid="0" * 64, size="1")],
        [header(), line("deletedFile")],
        [header(), line("deletedFolder", path="/")],
        [header(), line("copyFile", path="a")],
        [line("header", summary=1)],
        [line("header", summary="x" * 1001)],
        [line("header", summary="", description="x" * 10_001)],
        [line("header", summary="a\0b")],
        [line("header", summary="", parentCommit=1)],
        [header(), file("a", b"a"), file("a/b", b"b")],
        [header(), file("config.json/x", b"b")],
        [b"\xff\xfe"],
        [b"{" * 10_000],
        [header(), line("file", path="\ud800", content="")],
    ],
)
def test_lines_that_are_none_are_refused_and_nothing_is_there(
    hub: httpx2.Client, make_repo: Callable[..., Repo], lines: list[bytes]
) -> None:
    repo = make_repo()
    assert refused(post(hub, repo.id, lines))[0] == 400
    assert list(files(hub, repo.id)) == ["config.json"]


def test_a_commit_is_held_against_its_digest(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo, body = make_repo({}), b"\n".join([header(), file("a", b"a" * 100_000), file("b", b"b")])

    def sent(**digest: str) -> httpx2.Response:
        headers = {name.replace("_", "-"): value for name, value in digest.items()}
        return hub.post(f"/api/models/{repo.id}/commit/1.0.0", content=body, headers=headers)

    def told(algorithm: str, content: bytes) -> str:
        return base64.b64encode(hashlib.new(algorithm, content).digest()).decode()

    other = body.replace(b"YWFh", b"YWFi")
    assert refused(sent(Content_Digest=f"sha-256=:{told('sha256', other)}:"))[0] == 400
    assert refused(sent(Content_Digest=f"sha-512=:{told('sha512', other)}:"))[0] == 400
    assert refused(sent(Content_MD5=told("md5", other)))[0] == 400
    assert refused(sent(Content_Digest="sha-256=:no:"))[0] == 400
    assert files(hub, repo.id) == {}
    sha512 = f"sha-256=:{told('sha256', body)}:, sha-512=:{told('sha512', body)}:"
    assert sent(Content_Digest=sha512, Content_MD5=told("md5", body)).status_code == 200
    assert files(hub, repo.id) == digests(a=b"a" * 100_000, b=b"b")


@pytest.mark.once
@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/a", "a/", "../a", "a/../b", "..", ".", "./a", "a//b", "a\\b", "a\0b", "a\nb", "%2e%2e/a"),
        *("x" * 256, "/".join(["x" * 200] * 6)),
    ],
)
def test_paths_that_no_file_can_have_are_refused_before_and_in_a_commit(
    hub: httpx2.Client, make_repo: Callable[..., Repo], path: str
) -> None:
    repo = make_repo()
    assert refused(ask(hub, repo.id, ("ok", 1), (path, 1)))[0] == 400
    assert refused(post(hub, repo.id, [header(), file("ok", b""), file(path, b"")]))[0] == 400
    assert list(files(hub, repo.id)) == ["config.json"]


def test_what_is_not_there_cannot_be_deleted(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo()
    for key in ("deletedFile", "deletedFolder"):
        answer = post(hub, repo.id, [header(), file("ok", b"ok"), line(key, path="nothing")])
        status, code, sentence = refused(answer)
        assert (status, code) == (404, "EntryNotFound")
        assert "with this name doesn't exist" in sentence
    assert list(files(hub, repo.id)) == ["config.json"]


def test_revisions_that_take_no_commit_are_refused_before_and_then(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo()
    oid = hub.get(f"/api/models/{repo.id}").json()["sha"]
    for revision, status in (("2.0.0", 404), (oid, 400), ("refs%2Fpr%2F1", 404), ("%00", 404), ("x" * 300, 404)):
        assert refused(ask(hub, repo.id, ("a", 1), revision=revision))[0] == status
        path = f"/api/models/{repo.id}/commit/{revision}"
        assert refused(hub.post(path, content=header() + b"\n" + file("a", b"a")))[0] == status
        assert refused(hub.get(f"/api/models/{repo.id}/xet-write-token/{revision}"))[0] == status


def test_pull_requests_are_refused_before_an_upload(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo()
    status, _code, sentence = refused(ask(hub, repo.id, ("a", 1), query="?create_pr=1"))
    assert (status, "pull requests" in sentence) == (400, True)
    assert refused(hub.post(f"/api/models/{repo.id}/commit/main?create_pr=1", content=header()))[0] == 400


def test_it_is_told_how_each_file_is_to_come_and_what_is_here_already(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    big = b"x" * 100_000
    repo = make_repo({"big": big, "small": b"s"})
    told = ask(hub, repo.id, ("big", len(big)), ("small", 1), ("new", len(big)), ("empty", 0), ("big2", 1)).json()
    assert told["files"] == [
        {"path": "big", "uploadMode": "lfs", "shouldIgnore": False, "oid": sha256(big)},
        {"path": "small", "uploadMode": "regular", "shouldIgnore": False},
        {"path": "new", "uploadMode": "lfs", "shouldIgnore": False},
        {"path": "empty", "uploadMode": "regular", "shouldIgnore": False},
        {"path": "big2", "uploadMode": "regular", "shouldIgnore": False},
    ]


def test_sizes_and_quota_are_checked_before_an_upload(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({"a": b"x" * 60})
    assert refused(ask(hub, repo.id, ("big", 64 * 1024 * 1024 + 1)))[0] == 400
    for size in (-1, 2**70):
        assert refused(ask(hub, repo.id, ("a", size)))[0] == 400
    root.put(f"/projects/{repo.project}", json={"storage_limit": 100})
    status, _code, sentence = refused(ask(hub, repo.id, ("b", 41)))
    assert (status, "limit of 100 bytes" in sentence) == (403, True)
    assert ask(hub, repo.id, ("b", 40), ("a", 60)).status_code == 200
    assert refused(post(hub, repo.id, [header(), file("b", b"x" * 30), file("c", b"x" * 30)]))[0] == 403
    assert files(hub, repo.id) == {"a": sha256(b"x" * 60)}
    commit(hub, repo.id, file("b", b"x" * 30))


@pytest.mark.parametrize("method_and_path", ["POST preupload/main", "POST commit/main", "GET xet-write-token/main"])
def test_only_who_may_write_uploads(
    root: httpx2.Client,
    hub_client: Hub,
    stranger: httpx2.Client,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
    method_and_path: str,
) -> None:
    method, _, path = method_and_path.partition(" ")
    public, private, reader = make_repo(visibility="public"), make_repo(), make_user()
    root.post(f"/projects/{private.project}/members", json={"user_id": reader.id, "access_level": 20})
    reading = make_token(1, scopes=["read_api"])["token"]
    job = root.post(f"/projects/{public.project}/job_tokens").json()["token"]

    def told(client: httpx2.Client, repo: str) -> tuple[int, str | None]:
        body = json.dumps({"files": [{"path": "a", "size": 1}]}) if path.startswith("pre") else header().decode()
        content = body if method == "POST" else None
        answer = client.request(method, f"/api/models/{repo}/{path}", content=content)
        return (200, None) if answer.status_code == 200 else refused(answer)[:2]

    assert told(stranger, public.id)[0] == 401
    assert told(hub_client("myd_wrong"), public.id)[0] == 401
    assert told(hub_client(reader.token), public.id)[0] == 403
    assert told(hub_client(reader.token), private.id)[0] == 403
    assert told(hub_client(make_user().token), private.id) == (404, "RepoNotFound")
    assert told(hub_client(reading), public.id)[0] == 403
    assert told(hub_client(job), private.id)[0] == 403
    assert told(hub_client(job), public.id)[0] == 200


def test_a_file_in_a_line_has_a_bound(hub: httpx2.Client, make_repo: Callable[..., Repo], server: LiveServer) -> None:
    repo = make_repo()
    most = operations.MAX_INLINE_BYTES
    commit(hub, repo.id, file("most", bytes(most)))
    assert refused(post(hub, repo.id, [header(), file("more", bytes(most + 1))]))[0] == 400
    begin = header() + b'\n{"key": "file", "value": {"path": "a", "content": "'
    length = 100 * 1024 * 1024
    rest = b"A" * (reception.MAX_LINE + 1024 * 1024)
    answer = exchange(server, head(server, repo, length), begin, rest)
    assert answer.status == 413
    assert "LFS" in answer.json()["error"]
    assert list(files(hub, repo.id)) == ["config.json", "most"]


def test_many_files_at_once_are_there_and_more_than_the_bound_are_refused(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({})
    one = line("lfsFile", path="PATH", algo="sha256", oid=sha256(b"content"))
    commit(hub, repo.id, file("f", b"content"))
    body = [one.replace(b"PATH", b"d%d/%d" % (i % 100, i)) for i in range(10_000)]
    commit(hub, repo.id, *body)
    assert len(files(hub, repo.id)) == 10_001
    many = b"\n".join([header(), *([one] * (reception.MAX_OPERATIONS + 1))])
    status, _code, sentence = refused(hub.post(f"/api/models/{repo.id}/commit/main", content=many))
    assert (status, f"{reception.MAX_OPERATIONS} files" in sentence) == (400, True)
    assert len(files(hub, repo.id)) == 10_001


def test_a_million_files_are_refused_while_they_come(make_repo: Callable[..., Repo], server: LiveServer) -> None:
    repo = make_repo({})
    each = line("lfsFile", path="p", algo="sha256", oid="0" * 64) + b"\n"
    length = len(header()) + 1 + len(each) * 1_000_000
    begin = head(server, repo, length) + header() + b"\n"
    answer = exchange(server, begin, each * (reception.MAX_OPERATIONS + 5000))
    assert answer.status == 400
    assert "at most" in answer.json()["error"]


def test_too_many_folders_are_refused(
    hub: httpx2.Client, make_repo: Callable[..., Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "MAX_FOLDERS", 1)
    repo = make_repo({"a/a": b"", "b/b": b""})
    lines = [line("deletedFolder", path="a"), line("deletedFolder", path="b")]
    assert refused(post(hub, repo.id, [header(), *lines]))[0] == 400
    assert list(files(hub, repo.id)) == ["a/a", "b/b"]


def test_more_files_than_a_version_is_shown_with_are_refused(
    hub: httpx2.Client, make_repo: Callable[..., Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "MAX_FILES", 2)
    repo = make_repo()
    assert refused(post(hub, repo.id, [header(), file("a", b""), file("b", b"")]))[0] == 400
    assert list(files(hub, repo.id)) == ["config.json"]


def test_a_body_that_is_cut_changes_nothing(
    hub: httpx2.Client, make_repo: Callable[..., Repo], server: LiveServer
) -> None:
    repo, before = make_repo(), stored(server)
    body = b"\n".join([header(), file("a", b"a"), file("b", b"b")])
    with server.connect() as connection:
        connection.sendall(head(server, repo, len(body) + 10) + body)
    assert list(files(hub, repo.id)) == ["config.json"]
    assert stored(server) == before
    answer = hub.post(f"/api/models/{repo.id}/commit/main", content=body, headers={"Content-Encoding": "gzip"})
    assert refused(answer)[0] == 415


def test_versions_that_follow_a_run_stop_and_those_that_follow_the_version_get_the_files(
    hub: httpx2.Client, root: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({"model/a": b"a"})
    mlflow = f"/projects/{repo.project}/{MLFLOW}"
    source = f"mlflow-artifacts:/{repo.version}/model"
    made = root.post(f"{mlflow}/model-versions/create", json={"name": repo.model, "source": source})
    assert made.status_code == 200, made.text
    follower = made.json()["model_version"]["version"]
    commit(hub, repo.id, file("model/b", b"b"), file("other", b"o"), revision="1.0.0")
    follower_files = f"/projects/{repo.project}/packages/ml_models/{follower}/files"
    assert [root.get(f"{follower_files}/{name}").status_code for name in ("a", "b", "other")] == [200, 200, 404]
    commit(hub, repo.id, file("c", b"c"), revision="1.0.1")
    commit(hub, repo.id, file("model/d", b"d"), revision="1.0.0")
    assert root.get(f"{follower_files}/d").status_code == 404


def test_content_is_what_base64_says(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo({})
    content = bytes(range(256)) * 300
    commit(hub, repo.id, line("file", path="f", content=base64.b64encode(content).decode()))
    assert files(hub, repo.id) == {"f": sha256(content)}


def test_a_known_object_has_the_size_that_it_has(
    hub: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo, big = make_repo(), b"big" * 10
    send_object(hub, stranger, repo.id, big)
    answer = post(hub, repo.id, [header(), lfs_file("big", big, size=29)])
    assert refused(answer) == (400, None, f"big: {sha256(big)} has 30 bytes, not 29")
