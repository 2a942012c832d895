"""What xet sends: xorbs, and shards that say which files they make."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from modelyard.blobs.store import BlobReader
from modelyard.services.hub import shards, xet, xorbs
from tests.conftest import Account
from tests.live import LiveServer
from tests.raw import exchange
from tests.routes.hub.conftest import Hub, Repo
from tests.routes.hub.sending import (
    Cas,
    batch,
    chunk,
    commit,
    files,
    header,
    lfs_file,
    offered,
    post,
    sha256,
    shard,
)
from tests.routes.hub.test_names import refused

NAME, OTHER = b"\x01" * 32, b"\x02" * 32
PARTS = [b"first" * 5000, bytes(20_001), random.Random(1).randbytes(30_000)]
CONTENT = b"".join(PARTS)
XORB = b"".join(chunk(part, scheme) for scheme, part in enumerate(PARTS))
WHOLE = [(NAME, 0, 3, len(CONTENT))]


def test_a_file_is_put_together_of_chunks_by_every_scheme(
    hub: httpx2.Client, cas: Cas, repo: Repo, server: LiveServer
) -> None:
    assert cas.told["casUrl"].startswith(f"{server.url}/api/xet/")
    assert time.time() < cas.told["exp"] <= time.time() + 3600
    footer = b"XETBLOB" + bytes(1000)
    assert cas.xorb(NAME, XORB + footer).json() == {"was_inserted": True}
    assert cas.xorb(NAME, XORB).json() == {"was_inserted": False}
    assert cas.shard(shard((sha256(CONTENT), WHOLE))).json() == {"result": 1}
    commit(hub, repo.id, lfs_file("f", CONTENT))
    assert files(hub, repo.id) == {"f": sha256(CONTENT)}


def test_files_share_chunks_of_several_xorbs(hub: httpx2.Client, cas: Cas, repo: Repo) -> None:
    cas.xorb(NAME, XORB)
    cas.xorb(OTHER, chunk(b"other"))
    one = PARTS[1] + b"other" + PARTS[1] + PARTS[2]
    middle = (NAME, 1, 2, len(PARTS[1]))
    of_one = [middle, (OTHER, 0, 1, 5), (NAME, 1, 3, len(PARTS[1] + PARTS[2]))]
    answer = cas.shard(shard((sha256(one), of_one), (sha256(PARTS[1]), [middle])), "shards")
    assert answer.json() == {"result": 1}
    commit(hub, repo.id, lfs_file("one", one), lfs_file("two", PARTS[1]))
    assert files(hub, repo.id) == {"one": sha256(one), "two": sha256(PARTS[1])}


def test_what_newer_and_older_clients_ask_besides_is_not_there(stranger: httpx2.Client, cas: Cas) -> None:
    for path in ("v1/xorb-grants/default/x", "v2/shards"):
        assert refused(stranger.post(f"{cas.path}/{path}", headers=cas.headers))[0] == 404


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 7,
        XORB[:-1],
        XORB + b"\0\0",
        b"\x01" + XORB[1:],
        chunk(b"a", 3, packed=b"a"),
        chunk(b"abc", size=2),
        chunk(b"abc", size=0, packed=b""),
        chunk(b"", size=xorbs.MAX_CHUNK_BYTES + 1, packed=b"x"),
        chunk(b"", 1, size=10, packed=bytes(2 * xorbs.MAX_CHUNK_BYTES + 1)),
        b"XETBLOB" + bytes(100),
        b"<html>" * 100,
    ],
)
def test_what_is_no_xorb_is_refused(cas: Cas, content: bytes) -> None:
    assert refused(cas.xorb(NAME, content))[0] == 400
    assert refused(cas.shard(shard((sha256(CONTENT), WHOLE))))[0] == 400


def test_a_xorb_has_a_bound_and_so_have_its_chunks(
    cas: Cas, server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = xorbs.MAX_XORB_BYTES + 1
    head = f"POST {cas.path}/v1/xorbs/default/{'0' * 64} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
    token = cas.headers["Authorization"]
    assert exchange(server, f"{head}Authorization: {token}\r\n\r\n".encode()).status == 413
    monkeypatch.setattr(xorbs, "MAX_CHUNKS", 2)
    assert refused(cas.xorb(NAME, chunk(b"a") * 3))[0] == 400


@pytest.mark.parametrize(
    ("scheme", "size", "packed"),
    [
        (1, 10, b"no frame of lz4"),
        (1, 10, chunk(bytes(11), 1)[8:]),
        (1, 10, chunk(bytes(9), 1)[8:]),
        (1, 100_000, chunk(bytes(100_000), 1)[8:-4]),
        (2, 10, chunk(bytes(250_000), 2)[8:]),
    ],
)
def test_chunks_that_unpack_to_something_else_are_refused_with_their_files(
    hub: httpx2.Client, cas: Cas, repo: Repo, scheme: int, size: int, packed: bytes
) -> None:
    assert cas.xorb(NAME, chunk(b"", scheme, size=size, packed=packed)).status_code == 200
    assert refused(cas.shard(shard((sha256(bytes(size)), [(NAME, 0, 1, size)]))))[0] == 400
    assert refused(post(hub, repo.id, [header(), lfs_file("f", bytes(size))]))[0] == 400


@pytest.mark.parametrize(
    ("digest", "parts"),
    [
        (sha256(b"other"), WHOLE),
        (sha256(CONTENT), [(NAME, 0, 3, len(CONTENT) - 1)]),
        (sha256(CONTENT), [(NAME, 0, 4, len(CONTENT))]),
        (sha256(b""), [(NAME, 1, 1, 0)]),
        (sha256(b""), [(NAME, 2, 1, 0)]),
        (sha256(CONTENT), [(NAME, 0, 2**32 - 1, len(CONTENT))]),
        (sha256(CONTENT), [(OTHER, 0, 3, len(CONTENT))]),
        (sha256(CONTENT), []),
    ],
)
def test_shards_that_lie_are_refused_and_their_files_are_not_there(
    hub: httpx2.Client, cas: Cas, repo: Repo, digest: str, parts: list[tuple[bytes, int, int, int]]
) -> None:
    cas.xorb(NAME, XORB)
    assert refused(cas.shard(shard((digest, parts))))[0] == 400
    assert refused(post(hub, repo.id, [header(), lfs_file("f", CONTENT)]))[0] == 400


def test_shards_that_are_cut_or_none_are_refused(cas: Cas, monkeypatch: pytest.MonkeyPatch) -> None:
    cas.xorb(NAME, XORB)
    whole = shard((sha256(CONTENT), WHOLE))
    for at in (0, 10, 48, 96, 97, 150, 240):
        assert refused(cas.shard(whole[:at]))[0] == 400
    assert refused(cas.shard(shard((sha256(CONTENT), WHOLE), flags=1 << 31)))[0] == 400
    assert refused(cas.shard(b"x" * 4800))[0] == 400
    monkeypatch.setattr(shards, "MAX_FILES", 1)
    assert refused(cas.shard(shard((sha256(CONTENT), WHOLE), (sha256(CONTENT), WHOLE))))[0] == 400
    monkeypatch.setattr(shards, "MAX_TERMS", 0)
    assert refused(cas.shard(whole))[0] == 400
    monkeypatch.undo()
    assert cas.shard(whole).status_code == 200


def test_a_file_over_the_limit_or_the_quota_is_refused(root: httpx2.Client, cas: Cas, repo: Repo) -> None:
    zeros = chunk(bytes(200_000), 1)
    assert cas.xorb(NAME, zeros).status_code == 200
    times = 64 * 1024 * 1024 // 200_000 + 1
    assert refused(cas.shard(shard(("0" * 64, [(NAME, 0, 1, 200_000)] * times))))[0] == 400
    root.put(f"/projects/{repo.project}", json={"storage_limit": 100_000})
    assert refused(cas.shard(shard((sha256(bytes(200_000)), [(NAME, 0, 1, 200_000)]))))[0] == 403
    assert refused(cas.xorb(OTHER, chunk(bytes(200_000))))[0] == 403


def test_what_was_put_together_counts_towards_the_quota_once(
    hub: httpx2.Client, root: httpx2.Client, cas: Cas, repo: Repo
) -> None:
    size = len(CONTENT)
    root.put(f"/projects/{repo.project}", json={"storage_limit": 2 * size + 1000})
    cas.xorb(NAME, XORB)
    assert cas.shard(shard((sha256(CONTENT), WHOLE))).status_code == 200
    commit(hub, repo.id, lfs_file("f", CONTENT))
    assert batch(hub, repo.id, bytes(size)).status_code == 200
    assert refused(batch(hub, repo.id, bytes(size + 1001)))[0] == 403
    assert cas.shard(shard((sha256(PARTS[0]), [(NAME, 0, 1, len(PARTS[0]))]))).status_code == 200  # of the same xorb


def test_a_shard_that_is_sent_again_waits_for_what_is_being_done(
    cas: Cas, monkeypatch: pytest.MonkeyPatch, server: LiveServer
) -> None:
    cas.xorb(NAME, XORB)
    begun, go_on, times = threading.Event(), threading.Event(), []
    store = server.app.state.objects.store
    whole = xorbs.contents

    def slowly(reader: BlobReader, chunks: Sequence[xorbs.Chunk]) -> Iterator[bytes]:
        times.append(1)
        begun.set()
        assert go_on.wait(30)
        return whole(reader, chunks)

    monkeypatch.setattr(xorbs, "contents", slowly)
    sent = shard((sha256(CONTENT), WHOLE))
    with server.connect() as lost_patience:
        head = f"POST {cas.path}/v1/shards HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sent)}\r\n"
        lost_patience.sendall(f"{head}Authorization: {cas.headers['Authorization']}\r\n\r\n".encode() + sent)
        assert begun.wait(30)
    with ThreadPoolExecutor(2) as others:
        again = [others.submit(cas.shard, sent) for _ in range(2)]
        go_on.set()
        assert [each.result().status_code for each in again] == [200, 200]
    assert len(times) == 1
    assert store.stat(sha256(CONTENT)) is not None


def test_many_tiny_chunks_make_no_file(cas: Cas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xet, "MAX_SMALL_CHUNKS", 3)
    cas.xorb(NAME, chunk(b"a") * 4)
    assert refused(cas.shard(shard((sha256(b"aaaa"), [(NAME, 0, 4, 4)]))))[0] == 400
    assert cas.shard(shard((sha256(b"aaa"), [(NAME, 0, 3, 3)]))).status_code == 200


def test_xorbs_are_of_one_user_one_project_and_one_session(
    hub: httpx2.Client,
    root: httpx2.Client,
    stranger: httpx2.Client,
    hub_client: Hub,
    cas: Cas,
    repo: Repo,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
) -> None:
    cas.xorb(NAME, XORB)
    user = make_user()
    root.post(f"/projects/{repo.project}/members", json={"user_id": user.id, "access_level": 30})
    for other in (
        Cas(hub, stranger, repo.id),
        Cas(hub, stranger, make_repo({}).id),
        Cas(hub_client(user.token), stranger, repo.id),
    ):
        assert refused(other.shard(shard((sha256(CONTENT), WHOLE))))[0] == 400
    theirs = Cas(hub_client(user.token), stranger, repo.id)
    theirs.path = cas.path
    assert refused(theirs.shard(shard((sha256(CONTENT), WHOLE))))[0] == 400
    renewed = Cas(hub, stranger, repo.id)  # whose token goes on with the first URL
    renewed.path = cas.path
    assert renewed.shard(shard((sha256(CONTENT), WHOLE))).status_code == 200


def test_tokens_that_are_others_or_none_are_refused(stranger: httpx2.Client, cas: Cas, server: LiveServer) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {server.root_token}"}):
        answer = stranger.post(f"{cas.path}/v1/shards", content=b"", headers=headers)
        assert refused(answer)[0] == (404 if headers else 401)
    for path in (f"/api/xet/{'x' * 65}/v1/shards", "/api/xet/%00/v1/shards"):
        assert refused(stranger.post(path, content=b"", headers=cas.headers))[0] == 403
    assert refused(stranger.post(f"{cas.path}/v1/xorbs/default/x", content=XORB, headers=cas.headers))[0] == 400


@pytest.mark.parametrize("told", [True, False])
def test_a_shard_has_no_more_bytes_than_one_can_have(cas: Cas, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    whole = shard((sha256(CONTENT), WHOLE))
    monkeypatch.setattr(xet, "MAX_SHARD_BYTES", len(whole) - 1)
    cas.xorb(NAME, XORB)
    assert refused(cas.shard(whole if told else iter([whole[:100], whole[100:]])))[0] == 413


def test_a_right_is_for_xorbs_or_for_one_object(hub: httpx2.Client, stranger: httpx2.Client, repo: Repo) -> None:
    place, _, secret = offered(hub, repo.id, CONTENT)["href"].rpartition("=")
    cas = Cas(hub, stranger, repo.id)
    assert refused(stranger.put(f"{place}={cas.told['accessToken']}", content=CONTENT))[0] == 403
    cas.headers = {"Authorization": f"Bearer {secret}"}
    assert refused(cas.xorb(NAME, XORB))[0] == 403


def test_a_file_is_read_block_by_block(
    hub: httpx2.Client, cas: Cas, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xorbs, "READ_BYTES", len(PARTS[0]) + 100)
    cas.xorb(NAME, XORB)
    assert cas.shard(shard((sha256(CONTENT), WHOLE))).json() == {"result": 1}
    commit(hub, repo.id, lfs_file("f", CONTENT))
    assert files(hub, repo.id) == {"f": sha256(CONTENT)}
