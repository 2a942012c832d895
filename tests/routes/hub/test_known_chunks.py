"""What xet is told of files that are here, so that it need not send their chunks again."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx2
import pytest
from sqlalchemy import func, select

from modelyard.registry.repository import Registry
from modelyard.registry.tables import ChunkMark, KnownChunks
from modelyard.services.hub import known_chunks, known_files, xet, xorbs
from modelyard.services.upkeep.collecting import collect
from tests.conftest import Account
from tests.live import LiveServer
from tests.routes.hub.conftest import Hub, Repo
from tests.routes.hub.sending import (
    END,
    Cas,
    chunk,
    commit,
    files,
    hash_text,
    header,
    lfs_file,
    line,
    of_text,
    post,
    sha256,
    shard,
)
from tests.routes.hub.test_names import refused

XORB, OTHER = b"\1" * 32, b"\2" * 32
PARTS = [b"first" * 5000, bytes(20_001), random.Random(1).randbytes(30_000)]
CONTENT = b"".join(PARTS)
WHOLE = [(XORB, 0, 3, len(CONTENT))]
HASHES = [b"\x05" * 32, b"\x06" * 32, b"\x07" * 32]
RECORD = 48


@dataclass(frozen=True)
class Told:
    """An answer, taken apart as a client does it."""

    xorbs: Mapping[bytes, Sequence[tuple[bytes, int]]]  # chunks by hash and bytes
    expires_at: int


def told(answer: httpx2.Response) -> Told:
    assert answer.status_code == 200, answer.text
    content = answer.content
    tag, version, footer_size = struct.unpack_from("<32sQQ", content)
    assert (tag[:14], version, footer_size) == (b"HFRepoMetaData", 2, 200)
    footer = struct.unpack_from("<9Q32sQQ48sQQQQ", content, len(content) - footer_size)
    assert footer[:3] == (1, RECORD, 2 * RECORD)
    end = len(content) - footer_size
    assert (footer[3], footer[-1], footer[9]) == (end, end, bytes(32))
    assert content[RECORD : 2 * RECORD] == END == content[end - RECORD : end]
    at, xorbs = 2 * RECORD, {}
    while at < end - RECORD:
        name, _flags, count, size, _packed = struct.unpack_from("<32sIIII", content, at)
        chunks = [struct.unpack_from("<32sII8x", content, at + RECORD * n) for n in range(1, count + 1)]
        assert [start for _hash, start, _size in chunks] == [sum(c[2] for c in chunks[:n]) for n in range(count)]
        assert sum(c[2] for c in chunks) == size
        xorbs[name] = [(hash_, length) for hash_, _start, length in chunks]
        at += RECORD * (count + 1)
    return Told(xorbs, footer[11])


@pytest.fixture
def again(hub: httpx2.Client, stranger: httpx2.Client, repo: Repo) -> Callable[[], Cas]:
    """Begins another session."""
    return lambda: Cas(hub, stranger, repo.id)


def sent(cas: Cas, hashes: Sequence[bytes] = HASHES, parts: Sequence[bytes] = PARTS, name: bytes = XORB) -> None:
    """Send a file of some chunks, one after the other."""
    content = b"".join(parts)
    assert cas.xorb(name, b"".join(map(chunk, parts))).status_code == 200
    whole = [(name, 0, len(parts), len(content))]
    answer = cas.shard(shard((sha256(content), whole), xorbs={name: hashes}))
    assert answer.status_code == 200, answer.text


def kept(server: LiveServer) -> list[int]:
    def work(registry: Registry) -> list[int]:
        tables = (KnownChunks.id, ChunkMark.known_id)
        return [registry.session.scalar(select(func.count(column))) or 0 for column in tables]

    counted: list[int] = server.app.state.database.read_now(work)
    return counted


def test_a_file_that_is_here_is_made_again_of_what_is_told_of_it(
    hub: httpx2.Client, cas: Cas, repo: Repo, again: Callable[[], Cas]
) -> None:
    sent(cas)
    commit(hub, repo.id, lfs_file("f", CONTENT))
    other = again()
    answer = told(other.chunk(HASHES[0]))
    assert answer.expires_at == other.told["exp"]
    ((name, chunks),) = answer.xorbs.items()
    assert chunks == list(zip(HASHES, map(len, PARTS), strict=True))
    new = PARTS[2] + b"new" + PARTS[1] + PARTS[2]
    other.xorb(OTHER, chunk(b"new"))
    tail = len(PARTS[1] + PARTS[2])
    parts = [(name, 2, 3, len(PARTS[2])), (OTHER, 0, 1, 3), (name, 1, 3, tail)]
    files_of = ((sha256(CONTENT), [(name, 0, 3, len(CONTENT))]), (sha256(new), parts))
    assert other.shard(shard(*files_of, xorbs={OTHER: [b"\x08" * 32]})).status_code == 200
    commit(hub, repo.id, lfs_file("new", new))
    assert files(hub, repo.id) == {"f": sha256(CONTENT), "new": sha256(new)}
    assert again().chunk(HASHES[2]).status_code == 200  # by now the first chunk of a file
    ((_name, chunks),) = told(again().chunk(HASHES[2])).xorbs.items()
    assert [hash_ for hash_, _size in chunks] == [HASHES[2], b"\x08" * 32, HASHES[1], HASHES[2]]


def test_a_file_that_came_otherwise_is_known_once_xet_has_sent_it(
    hub: httpx2.Client, root: httpx2.Client, cas: Cas, repo: Repo, again: Callable[[], Cas]
) -> None:
    assert root.put(f"{repo.files}/f", content=CONTENT).status_code == 201
    assert refused(cas.chunk(HASHES[0]))[0] == 404
    sent(cas)
    assert again().chunk(HASHES[0]).status_code == 200
    commit(hub, repo.id, line("deletedFile", path="f"))
    assert refused(again().chunk(HASHES[0]))[0] == 404


def test_only_the_first_chunk_and_those_that_clients_ask_for_are_found(cas: Cas) -> None:
    eligible = bytes(range(24)) + (5 * 1024).to_bytes(8, "little")
    sent(cas, [HASHES[0], HASHES[1], eligible])
    assert refused(cas.chunk(HASHES[1]))[0] == 404
    assert told(cas.chunk(eligible)) == told(cas.chunk(HASHES[0]))


def test_chunks_are_told_of_files_of_the_project_to_those_who_may_send_there(
    hub: httpx2.Client,
    root: httpx2.Client,
    stranger: httpx2.Client,
    hub_client: Hub,
    cas: Cas,
    repo: Repo,
    make_repo: Callable[..., Repo],
    make_user: Callable[..., Account],
) -> None:
    user = make_user()
    root.post(f"/projects/{repo.project}/members", json={"user_id": user.id, "access_level": 30})
    theirs = Cas(hub_client(user.token), stranger, repo.id)
    elsewhere = Cas(hub, stranger, make_repo({}).id)
    sent(cas)
    assert cas.chunk(HASHES[0]).status_code == 200
    ((name, _chunks),) = told(cas.chunk(HASHES[0])).xorbs.items()
    made = shard((sha256(PARTS[2]), [(name, 2, 3, len(PARTS[2]))]))
    for other in (theirs, elsewhere):
        assert refused(other.chunk(HASHES[0]))[0] == 404
        assert refused(other.shard(made))[0] == 400
    commit(hub, repo.id, lfs_file("f", CONTENT))
    assert refused(elsewhere.chunk(HASHES[0]))[0] == 404
    assert refused(elsewhere.shard(made))[0] == 400
    assert theirs.chunk(HASHES[0]).status_code == 200
    assert theirs.shard(made).status_code == 200
    root.delete(f"/projects/{repo.project}/members/{user.id}")
    assert refused(theirs.chunk(HASHES[0]))[0] in {403, 404}


def test_who_has_no_right_to_send_is_told_nothing(cas: Cas, stranger: httpx2.Client, server: LiveServer) -> None:
    sent(cas)
    path = f"{cas.path}/v1/chunks/default/{hash_text(HASHES[0])}"
    assert stranger.get(path, headers=cas.headers).status_code == 200
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {server.root_token}"}):
        assert refused(stranger.get(path, headers=headers))[0] == (404 if headers else 401)
    for name in ("x", "0" * 63, "A" * 64, "%00"):
        assert refused(stranger.get(f"{cas.path}/v1/chunks/default/{name}", headers=cas.headers))[0] == 400


def test_hashes_that_were_lies_are_forgotten_with_the_file_that_they_spoil(
    hub: httpx2.Client, cas: Cas, repo: Repo, again: Callable[[], Cas]
) -> None:
    sent(cas)
    commit(hub, repo.id, lfs_file("f", CONTENT))
    other = again()
    ((name, _chunks),) = told(other.chunk(HASHES[0])).xorbs.items()
    wrong = shard((sha256(b"what the client has"), [(name, 0, 1, len(PARTS[0]))]))
    assert refused(other.shard(wrong))[0] == 400
    assert refused(other.chunk(HASHES[0]))[0] == 404
    assert refused(post(hub, repo.id, [header(), lfs_file("g", b"what the client has")]))[0] == 400
    sent(other)
    assert other.chunk(HASHES[0]).status_code == 200


@pytest.mark.parametrize(
    ("first", "end", "size"), [(0, 4, len(CONTENT)), (0, 3, len(CONTENT) - 1), (1, 1, 0), (2, 1, 0), (3, 4, 1)]
)
def test_parts_of_known_files_that_are_none_are_refused(cas: Cas, first: int, end: int, size: int) -> None:
    sent(cas)
    ((name, _chunks),) = told(cas.chunk(HASHES[0])).xorbs.items()
    assert refused(cas.shard(shard((sha256(b"x"), [(name, first, end, size)]))))[0] == 400


def test_names_that_lead_to_no_group_are_refused(cas: Cas) -> None:
    sent(cas)
    ((name, _chunks),) = told(cas.chunk(HASHES[0])).xorbs.items()
    text = hash_text(name)
    for wrong in (text[:48] + "f" * 16, text[:48] + f"{int(text[48:], 16) + 1:016x}", "0" * 48 + text[48:]):
        part = (of_text(wrong), 0, 1, len(PARTS[0]))
        assert refused(cas.shard(shard((sha256(PARTS[0]), [part]))))[0] == 400


def test_damaged_files_are_not_told_of(
    hub: httpx2.Client, cas: Cas, repo: Repo, server: LiveServer, again: Callable[[], Cas]
) -> None:
    parts = [random.Random(2).randbytes(10_000)]
    sent(cas, HASHES[:1], parts)
    digest = sha256(parts[0])
    commit(hub, repo.id, lfs_file("f", parts[0]))
    ((name, _chunks),) = told(cas.chunk(HASHES[0])).xorbs.items()
    database = server.app.state.database
    database.write_now(lambda registry: registry.blobs.mark(digest, damaged=True))
    assert refused(again().chunk(HASHES[0]))[0] == 404
    made = shard((sha256(parts[0] * 2), [(name, 0, 1, 10_000)] * 2))
    assert refused(cas.shard(made))[0] == 400
    sent(again(), HASHES[:1], parts)
    assert again().chunk(HASHES[0]).status_code == 200
    server.app.state.store.delete(digest)
    assert refused(again().chunk(HASHES[0]))[0] == 404
    assert refused(cas.shard(made))[0] == 400
    assert refused(again().shard(made))[0] == 400
    sent(again(), HASHES[:1], parts)
    assert again().chunk(HASHES[0]).status_code == 200


def test_large_files_are_known_in_groups_of_which_an_answer_has_so_many(
    hub: httpx2.Client, cas: Cas, repo: Repo, again: Callable[[], Cas], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_chunks, "GROUP_CHUNKS", 2)
    monkeypatch.setattr(known_files, "ANSWERED_GROUPS", 2)
    monkeypatch.setattr(xet, "HELD_HASHES", 0)
    parts = [random.Random(n).randbytes(10_000) for n in range(7)]
    eligible = bytes(24) + (1024).to_bytes(8, "little")
    hashes = [bytes([n + 1]) * 32 for n in range(4)] + [eligible] + [bytes([n + 1]) * 32 for n in range(5, 7)]
    sent(cas, hashes, parts)
    commit(hub, repo.id, lfs_file("f", b"".join(parts)))
    begin = told(again().chunk(hashes[0])).xorbs
    assert [hash_ for chunks in begin.values() for hash_, _size in chunks] == hashes[:4]
    rest = told(again().chunk(eligible)).xorbs
    assert [hash_ for chunks in rest.values() for hash_, _size in chunks] == hashes[4:]
    names = [*begin, *rest]
    new = b"".join([*parts[:5], parts[6], parts[3]])
    of_new = [(names[n], 0, 2, 20_000) for n in range(2)] + [(names[2], 0, 1, 10_000), (names[3], 0, 1, 10_000)]
    assert again().shard(shard((sha256(new), [*of_new, (names[1], 1, 2, 10_000)]))).status_code == 200


def test_several_files_may_begin_with_the_same_chunk(cas: Cas, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [[PARTS[0], random.Random(n).randbytes(10_000)] for n in range(3)]
    for n, parts in enumerate(contents):
        sent(cas, [HASHES[0], bytes([n + 1]) * 32], parts, bytes([n + 1]) * 32)
    found = told(cas.chunk(HASHES[0])).xorbs
    assert [chunks[1][0][0] for chunks in found.values()] == [3, 2, 1]
    monkeypatch.setattr(known_files, "ANSWERED_GROUPS", 2)
    assert len(told(cas.chunk(HASHES[0])).xorbs) == 2


@pytest.mark.parametrize("hashes", [[], HASHES[:2], [*HASHES, HASHES[0]]])
def test_what_a_shard_says_of_xorbs_may_be_missing_or_wrong(cas: Cas, hashes: list[bytes]) -> None:
    sent(cas, hashes)
    assert refused(cas.chunk(HASHES[0]))[0] == 404


def test_what_a_shard_says_of_xorbs_may_be_cut_or_none(cas: Cas) -> None:
    whole = shard((sha256(CONTENT), WHOLE), xorbs={XORB: HASHES})
    files_end = whole.index(END) + RECORD
    cas.xorb(XORB, b"".join(map(chunk, PARTS)))
    endless = struct.pack("<32sIIII", XORB, 0, xorbs.MAX_CHUNKS + 1, 0, 0) + b"x" * RECORD * 10
    for content in (whole[: files_end + 60], whole[:files_end], whole[:files_end] + endless):
        assert cas.shard(content).status_code == 200
        assert refused(cas.chunk(HASHES[0]))[0] == 404
    assert cas.shard(whole).status_code == 200
    assert cas.chunk(HASHES[0]).status_code == 200


def test_a_file_of_tiny_chunks_is_not_kept_in_mind(cas: Cas) -> None:
    parts = [bytes([n]) * 100 for n in range(100)]
    sent(cas, [bytes([n + 1]) * 32 for n in range(100)], parts)
    assert refused(cas.chunk(bytes([1]) * 32))[0] == 404


def test_a_xorb_that_is_sent_again_is_known_by_what_is_told_of_it_then(cas: Cas) -> None:
    cas.xorb(XORB, b"".join(map(chunk, PARTS)))
    cas.shard(shard((sha256(PARTS[0]), [(XORB, 0, 1, len(PARTS[0]))]), xorbs={XORB: HASHES}))
    turned = PARTS[::-1]
    cas.xorb(XORB, b"".join(map(chunk, turned)))
    assert cas.shard(shard((sha256(turned[0]), [(XORB, 0, 1, len(turned[0]))]))).status_code == 200
    ((_name, chunks),) = told(cas.chunk(HASHES[0])).xorbs.items()
    assert chunks == [(HASHES[0], len(PARTS[0]))]


def test_gc_forgets_the_chunks_of_files_that_are_gone(
    hub: httpx2.Client, root: httpx2.Client, stranger: httpx2.Client, server: LiveServer, make_repo: Callable[..., Repo]
) -> None:
    repo, gone = make_repo({}), make_repo({})
    before = kept(server)
    for each in (repo, gone):
        sent(Cas(hub, stranger, each.id))
        commit(hub, each.id, lfs_file("f", CONTENT))
    assert kept(server) == [before[0] + 2, before[1] + 2]
    root.delete(f"/projects/{gone.project}")
    assert kept(server) == [before[0] + 1, before[1] + 1]
    database, store = server.app.state.database, server.app.state.store
    list(collect(database, store, grace=-1, dry_run=False))
    assert Cas(hub, stranger, repo.id).chunk(HASHES[0]).status_code == 200
    commit(hub, repo.id, line("deletedFile", path="f"))
    list(collect(database, store, grace=3600, dry_run=False))
    now = kept(server)
    list(collect(database, store, grace=-1, dry_run=True))
    assert kept(server) == now
    list(collect(database, store, grace=-1, dry_run=False))
    assert kept(server) == [now[0] - 1, now[1] - 1]
