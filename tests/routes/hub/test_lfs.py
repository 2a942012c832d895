"""Objects that come before their commit: by Git LFS, whole and in parts."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from modelyard.clock import now
from modelyard.registry.repository import Registry
from modelyard.services.files.recording import Content, Recorder
from modelyard.services.hub import objects, tickets
from tests.conftest import Account
from tests.live import LiveServer
from tests.raw import exchange
from tests.routes.hub.conftest import Hub, Repo
from tests.routes.hub.sending import batch, commit, files, header, lfs_file, offered, post, send_object, sha256
from tests.routes.hub.test_names import refused

CONTENT = b"weights" * 30_000
GONE = (404, "UploadNotFound")


def verify(client: httpx2.Client, repo: str, content: bytes, size: int | None = None) -> httpx2.Response:
    body = {"oid": sha256(content), "size": len(content) if size is None else size}
    return client.post(f"/{repo}.git/info/lfs/verify", json=body)


def test_an_object_is_sent_without_a_token_and_named_by_a_commit(
    hub: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo], server: LiveServer
) -> None:
    repo = make_repo({})
    action = offered(hub, repo.id, CONTENT)
    assert action["href"].startswith(f"{server.url}/{repo.id}.git/info/lfs/content/{sha256(CONTENT)}?")
    assert refused(verify(hub, repo.id, CONTENT))[:2] == (404, "EntryNotFound")
    sent = stranger.put(action["href"], content=CONTENT)
    assert (sent.status_code, sent.headers["etag"]) == (200, f'"{sha256(CONTENT)}"')
    assert verify(hub, repo.id, CONTENT).status_code == 200
    assert refused(verify(hub, repo.id, CONTENT, 1))[:2] == (404, "EntryNotFound")
    assert files(hub, repo.id) == {}
    commit(hub, repo.id, lfs_file("f", CONTENT))
    assert files(hub, repo.id) == {"f": sha256(CONTENT)}


def test_what_is_here_need_not_be_sent(
    hub: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo, other = make_repo({"f": CONTENT}), make_repo({})
    (shown,) = batch(hub, repo.id, CONTENT).json()["objects"]
    assert shown == {"oid": sha256(CONTENT), "size": len(CONTENT)}
    assert "actions" in batch(hub, other.id, CONTENT).json()["objects"][0]  # where nobody need know of the other's
    send_object(hub, stranger, other.id, CONTENT)
    assert "actions" not in batch(hub, other.id, CONTENT).json()["objects"][0]


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"", CONTENT[:-1] + b"x"])
def test_other_bytes_than_were_announced_are_refused(
    hub: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo], content: bytes
) -> None:
    repo = make_repo({})
    href = offered(hub, repo.id, CONTENT)["href"]
    assert refused(stranger.put(href, content=content))[0] == 400
    assert refused(stranger.put(href, content=iter([content])))[0] == 400  # whose length is not told before
    assert refused(verify(hub, repo.id, CONTENT))[:2] == (404, "EntryNotFound")
    assert refused(post(hub, repo.id, [header(), lfs_file("f", CONTENT)]))[0] == 400
    assert stranger.put(href, content=CONTENT).status_code == 200


def test_a_length_that_does_not_fit_is_refused_before_the_body(
    hub: httpx2.Client, make_repo: Callable[..., Repo], server: LiveServer
) -> None:
    repo = make_repo({})
    path = offered(hub, repo.id, CONTENT)["href"].removeprefix(server.url)
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\nExpect: 100-continue\r\n\r\n"
    assert exchange(server, head.encode()).status == 400


def test_a_url_is_for_one_object_and_one_user(
    hub: httpx2.Client,
    root: httpx2.Client,
    stranger: httpx2.Client,
    hub_client: Hub,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
) -> None:
    repo, user = make_repo({}), make_user()
    root.post(f"/projects/{repo.project}/members", json={"user_id": user.id, "access_level": 30})
    href = offered(hub, repo.id, CONTENT)["href"]
    other = href.replace(sha256(CONTENT), sha256(b"other"))
    assert refused(stranger.put(other, content=b"other"))[0] == 403
    assert refused(hub_client(user.token).put(href, content=CONTENT))[0] == 403
    assert refused(hub_client("myd_wrong").put(href, content=CONTENT))[0] == 401
    for secret in ("x", "x" * 10_000, "%00"):
        assert refused(stranger.put(f"{href.partition('?')[0]}?ticket={secret}", content=CONTENT))[:2] == GONE
    for query in ("", "?ticket=", "?part=1"):
        assert refused(stranger.put(href.partition("?")[0] + query, content=CONTENT))[:2] == GONE
    assert hub.put(href, content=CONTENT).status_code == 200


def test_a_url_ends_with_its_time_its_token_and_its_users_role(
    root: httpx2.Client,
    stranger: httpx2.Client,
    hub_client: Hub,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repo, user = make_repo({}), make_user()
    member = f"/projects/{repo.project}/members"
    root.post(member, json={"user_id": user.id, "access_level": 30})
    token = make_token(user.id)
    revoked = offered(hub_client(token["token"]), repo.id, CONTENT)["href"]
    root.delete(f"/personal_access_tokens/{token['id']}")
    assert refused(stranger.put(revoked, content=CONTENT))[0] == 401
    lowered = offered(hub_client(user.token), repo.id, CONTENT)["href"]
    root.put(f"{member}/{user.id}", json={"access_level": 20})
    assert refused(stranger.put(lowered, content=CONTENT))[0] == 403
    root.put(f"{member}/{user.id}", json={"access_level": 30})
    late = offered(hub_client(user.token), repo.id, CONTENT)["href"]
    at = now() + tickets.TICKET_SECONDS * 1000
    with monkeypatch.context() as patched:
        patched.setattr(tickets, "now", lambda: at + 1000)
        assert refused(stranger.put(late, content=CONTENT))[:2] == GONE


def test_who_may_not_write_is_offered_nothing(
    stranger: httpx2.Client,
    hub_client: Hub,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
) -> None:
    public, private, user = make_repo(visibility="public"), make_repo(), make_user()
    assert refused(batch(stranger, public.id, CONTENT))[0] == 401
    assert refused(batch(hub_client(user.token), public.id, CONTENT))[0] == 403
    assert refused(batch(hub_client(user.token), private.id, CONTENT))[:2] == (404, "RepoNotFound")
    assert refused(verify(hub_client(user.token), public.id, CONTENT))[0] == 403


def test_what_can_be_no_object_is_refused(hub: httpx2.Client, make_repo: Callable[..., Repo]) -> None:
    repo = make_repo({})
    for oid, size in (("x", 1), ("A" * 64, 1), ("0" * 64, -1), ("0" * 64, 2**70), ("0" * 64, "x")):
        assert refused(batch(hub, repo.id, objects=[{"oid": oid, "size": size}]))[0] == 400
    assert refused(batch(hub, repo.id, CONTENT, operation="download"))[0] == 501
    assert refused(batch(hub, repo.id, CONTENT, hash_algo="md5"))[0] == 400
    assert refused(batch(hub, repo.id, objects=[{"oid": "0" * 64, "size": 1}] * 1001))[0] == 400
    assert refused(batch(hub, repo.id, objects=[{"oid": "0" * 64, "size": 64 * 1024 * 1024 + 1}]))[0] == 400


def test_what_was_sent_and_not_committed_counts_towards_the_quota(
    hub: httpx2.Client, root: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    repo = make_repo({})
    root.put(f"/projects/{repo.project}", json={"storage_limit": 100})
    assert refused(batch(hub, repo.id, bytes(101)))[0] == 403
    send_object(hub, stranger, repo.id, bytes(60))
    assert refused(batch(hub, repo.id, bytes(50)))[0] == 403
    assert batch(hub, repo.id, bytes(40)).status_code == 200
    commit(hub, repo.id, lfs_file("f", bytes(60)))
    assert batch(hub, repo.id, bytes(40)).status_code == 200


def test_rights_to_send_have_a_bound(
    hub: httpx2.Client, make_repo: Callable[..., Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "MAX_TICKETS", 2)
    repo = make_repo({})
    assert batch(hub, repo.id, b"1", b"2").status_code == 200
    assert refused(batch(hub, repo.id, b"3"))[0] == 429


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(objects, "PART_BYTES", 100_000)
    return 100_000


def complete(client: httpx2.Client, action: dict[str, Any], etags: dict[int, str]) -> httpx2.Response:
    parts = [{"partNumber": number, "etag": etag} for number, etag in etags.items()]
    oid = action["href"].partition("?")[0].rpartition("/")[2]
    return client.post(action["href"], json={"oid": oid, "parts": parts})


def send_parts(client: httpx2.Client, action: dict[str, Any], content: bytes, size: int) -> dict[int, str]:
    etags = {}
    for number in range(1, -(-len(content) // size) + 1):
        answer = client.put(action["header"][str(number)], content=content[(number - 1) * size : number * size])
        assert answer.status_code == 200, answer.text
        etags[number] = answer.headers["etag"]
    return etags


def test_a_large_object_is_sent_in_parts(
    hub: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo], small_parts: int
) -> None:
    repo = make_repo({})
    action = offered(hub, repo.id, CONTENT)
    assert sorted(action["header"]) == ["1", "2", "3", "chunk_size"]
    etags = send_parts(stranger, action, CONTENT, small_parts)
    assert complete(stranger, action, etags).status_code == 200
    assert verify(hub, repo.id, CONTENT).status_code == 200
    commit(hub, repo.id, lfs_file("f", CONTENT))
    assert files(hub, repo.id) == {"f": sha256(CONTENT)}
    assert (
        "header"
        not in batch(hub, repo.id, b"other" * 50_000, transfers=["basic"]).json()["objects"][0]["actions"]["upload"]
    )


def test_bytes_that_are_removed_just_before_they_are_recorded_are_put_back(
    server: LiveServer,
    hub: httpx2.Client,
    stranger: httpx2.Client,
    make_repo: Callable[..., Repo],
    small_parts: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    removed: list[bool] = []

    def after_removal(self: Recorder, registry: Registry, content: Content) -> None:
        removed.append(server.app.state.store.delete(content.sha256))
        hold(self, registry, content)

    hold = Recorder.hold
    monkeypatch.setattr(Recorder, "hold", after_removal)
    repo, large, small = make_repo({}), os.urandom(len(CONTENT)), os.urandom(100)
    action = offered(hub, repo.id, large)
    assert complete(stranger, action, send_parts(stranger, action, large, small_parts)).status_code == 200
    send_object(hub, stranger, repo.id, small)
    assert removed == [True] * 5
    commit(hub, repo.id, lfs_file("large", large), lfs_file("small", small))
    assert files(hub, repo.id) == {"large": sha256(large), "small": sha256(small)}


def test_parts_that_are_left_out_doubled_or_others_are_refused(
    hub: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo], small_parts: int
) -> None:
    repo = make_repo({})
    action = offered(hub, repo.id, CONTENT)
    early = complete(stranger, action, {1: "a", 2: "b", 3: "c"})
    assert refused(early)[0] == 400
    etags = send_parts(stranger, action, CONTENT, small_parts)
    for wrong in ({1: etags[1], 2: etags[2]}, {**etags, 4: etags[1]}, {**etags, 2: etags[1]}, {}):
        assert refused(complete(stranger, action, wrong))[0] == 400
    doubled = [{"partNumber": 1, "etag": etags[1]}] * 3
    assert refused(stranger.post(action["href"], json={"oid": sha256(CONTENT), "parts": doubled}))[0] == 400
    assert refused(stranger.post(action["href"], json={"oid": "0" * 64, "parts": []}))[0] == 400
    assert refused(verify(hub, repo.id, CONTENT))[:2] == (404, "EntryNotFound")
    assert complete(stranger, action, etags).status_code == 200


def test_parts_of_other_bytes_are_refused_at_the_end_and_of_other_lengths_at_once(
    hub: httpx2.Client, stranger: httpx2.Client, make_repo: Callable[..., Repo], small_parts: int
) -> None:
    repo = make_repo({})
    action = offered(hub, repo.id, CONTENT)
    url = action["header"]["1"]
    for content in (b"short", CONTENT):
        assert refused(stranger.put(url, content=content))[0] == 400
    for number in ("0", "4", "x", "-1", "9" * 30):
        assert refused(stranger.put(url.replace("part=1", f"part={number}"), content=b""))[0] == 400
    etags = send_parts(stranger, action, CONTENT[:-1] + b"x", small_parts)
    assert refused(complete(stranger, action, etags))[0] == 400
    assert refused(post(hub, repo.id, [header(), lfs_file("f", CONTENT)]))[0] == 400


def test_an_object_that_has_not_come_is_told_without_a_commit(
    hub: httpx2.Client, make_repo: Callable[..., Repo]
) -> None:
    answer = verify(hub, make_repo({}).id, CONTENT)
    assert refused(answer)[:2] == (404, "EntryNotFound")
    assert "x-repo-commit" not in answer.headers
