"""What only the store in a bucket does: parts, references, and what is left when somebody stops half way."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable

import pytest

from modelyard.blobs.s3 import remembered
from modelyard.blobs.s3.bodies import Body
from modelyard.blobs.s3.bucket import Bucket, Part
from modelyard.blobs.s3.layout import Reference
from modelyard.blobs.s3.leftovers import ABANDONED_SECONDS
from modelyard.blobs.s3.store import S3BlobStore
from modelyard.blobs.s3.writer import FIRST_PART_BYTES, IN_FLIGHT_BYTES, MAX_PARTS, part_size
from modelyard.blobs.store import BlobMissing, StoreFull, StoreUnavailable, WriterClosed
from tests.s3 import BUCKET, S3Server, noted_requests

from .tools import CONTENT, DIGEST, put, sha256

MIB = 1 << 20
AT_ONCE = -10.0  # seconds; Swift dates what it writes up to a second ahead
LARGEST_PART = 5 << 30  # what S3 takes


@pytest.fixture
def prefix() -> str:
    return f"s3/{secrets.token_hex(8)}"


@pytest.fixture(params=["moto", "swift", "s3rver"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(server: S3Server, prefix: str) -> S3BlobStore:
    return server.store(prefix)


# s3rver tells nothing of uploads, neither of those that are unfinished nor in an object's ETag.
telling_uploads = pytest.mark.parametrize("server", ["moto", "swift"], indirect=True)


def kinds(server: S3Server, prefix: str) -> list[str]:
    return [key.partition("/")[0] for key in server.keys(prefix)]


def drop(server: S3Server, prefix: str, kind: str) -> str:
    """Remove the one object of a kind behind the store's back."""
    (key,) = (key for key in server.keys(prefix) if key.startswith(f"{kind}/"))
    server.client().delete_object(Bucket=BUCKET, Key=f"{prefix}/{key}")
    return key


def test_ten_thousand_parts_hold_five_terabytes() -> None:
    offset = 0
    for _ in range(MAX_PARTS):
        size = part_size(offset)
        assert FIRST_PART_BYTES <= size <= LARGEST_PART
        offset += size
    assert offset >= 5 << 40


@telling_uploads
@pytest.mark.parametrize(("size", "parts"), [(FIRST_PART_BYTES, 0), (FIRST_PART_BYTES + 1, 2), (40 * MIB + 5, 6)])
def test_only_what_exceeds_a_part_is_sent_in_parts(
    server: S3Server, store: S3BlobStore, prefix: str, size: int, parts: int
) -> None:
    content = os.urandom(size)
    digest = put(store, content)
    (key,) = (key for key in server.keys(prefix) if key.startswith("data/"))
    etag = server.client().head_object(Bucket=BUCKET, Key=f"{prefix}/{key}")["ETag"].strip('"')
    assert etag.partition("-")[2] == (str(parts) if parts else "")
    with store.open(digest) as reader:
        assert sha256(reader.read(0, size)) == digest


def test_a_large_blob_is_read_in_any_order(store: S3BlobStore) -> None:
    content = os.urandom(30 * MIB)
    digest = put(store, content)
    with store.open(digest) as reader:
        for offset in (0, 20 * MIB, 3, 29 * MIB, 0):
            for start in range(offset, min(offset + 12 * MIB, len(content)), MIB):
                assert reader.read(start, MIB) == content[start : start + MIB]


def test_a_blob_is_sent_to_a_socket_as_it_has_room(store: S3BlobStore, asked: list[tuple[str, str]]) -> None:
    content, received = os.urandom(3 * MIB + 5), bytearray()
    digest = put(store, content)
    ours, theirs = socket.socketpair()
    asked.clear()
    with ours, theirs, store.open(digest) as reader:
        ours.setblocking(False)
        full, position = 0, 0
        while position < len(content):
            try:
                position += reader.send(ours.fileno(), position, len(content) - position)
            except BlockingIOError:
                full += 1
                received += theirs.recv(position - len(received))
        assert reader.send(ours.fileno(), position, 1) == 0
        while len(received) < position:
            received += theirs.recv(MIB)
        assert len(asked) == 3  # its beginning, what was wanted next, and the rest: nothing again that was not sent
        assert reader.read(5, 7) == content[5:12]
    assert bytes(received) == content
    assert full


def test_a_writer_holds_a_bounded_part_of_its_file(store: S3BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    on_their_way: list[int] = []
    seen: list[int] = []
    upload_part = Bucket.upload_part

    def counting(bucket: Bucket, key: str, upload_id: str, number: int, body: Body) -> Part:
        on_their_way.append(len(body))
        seen.append(sum(on_their_way))
        try:
            return upload_part(bucket, key, upload_id, number, body)
        finally:
            on_their_way.remove(len(body))

    monkeypatch.setattr(Bucket, "upload_part", counting)
    with store.begin() as writer:
        for _ in range(64):
            writer.write([bytes(MIB)])
    assert FIRST_PART_BYTES < max(seen) <= IN_FLIGHT_BYTES


@telling_uploads
def test_a_writer_closed_in_the_middle_aborts_its_upload(server: S3Server, store: S3BlobStore, prefix: str) -> None:
    with store.begin() as writer:
        writer.write([bytes(20 * MIB)])
        assert len(server.uploads(prefix)) == 1
    assert server.uploads(prefix) == []
    assert server.keys(prefix) == []


@telling_uploads
def test_a_part_that_fails_ends_the_writer_and_its_upload(
    server: S3Server, store: S3BlobStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Part:
        raise StoreFull("no room")

    writer = store.begin()
    writer.write([bytes(9 * MIB)])
    monkeypatch.setattr(Bucket, "upload_part", full)
    with pytest.raises(StoreFull):
        writer.write([bytes(100 * MIB)])
    with pytest.raises(WriterClosed):
        writer.publish()
    assert server.uploads(prefix) == []


@telling_uploads
def test_an_upload_that_was_taken_for_abandoned_fails(server: S3Server, store: S3BlobStore, prefix: str) -> None:
    impatient = server.store(prefix, abandoned_after=AT_ONCE)
    writer = store.begin()
    writer.write([bytes(9 * MIB)])
    (leftover,) = impatient.leftovers()
    assert impatient.remove_leftover(leftover.name)
    assert not impatient.remove_leftover(leftover.name)
    with pytest.raises(StoreUnavailable):
        writer.publish()
    assert server.keys(prefix) == []


@telling_uploads
def test_the_parts_of_a_killed_process_are_a_leftover_when_they_are_old(
    server: S3Server, store: S3BlobStore, prefix: str
) -> None:
    bucket = server.bucket(prefix)
    upload_id = bucket.create_upload(f"data/{'a' * 32}")
    bucket.upload_part(f"data/{'a' * 32}", upload_id, 1, Body(bytes(5 * MIB)))
    assert list(store.leftovers()) == []
    name = f"upload/{'a' * 32}/{upload_id}"
    assert not store.remove_leftover(name)
    impatient = server.store(prefix, abandoned_after=AT_ONCE)
    assert [(found.name, found.size) for found in impatient.leftovers()] == [(name, 5 * MIB)]
    assert impatient.remove_leftover(name)
    assert server.uploads(prefix) == []


def test_data_without_a_reference_goes_when_it_was_seen_so_for_long_enough(
    server: S3Server, store: S3BlobStore, prefix: str
) -> None:
    put(store)
    drop(server, prefix, "sha256")
    impatient = server.store(prefix, abandoned_after=AT_ONCE)
    assert list(impatient.leftovers()) == [], "its own age says nothing"
    assert list(store.leftovers()) == [], "a day has not passed"
    (leftover,) = impatient.leftovers()
    assert leftover.size == len(CONTENT)
    assert not store.remove_leftover(leftover.name)
    assert impatient.remove_leftover(leftover.name)
    assert not impatient.remove_leftover(leftover.name)
    assert server.keys(prefix) == []


def test_a_deleted_blob_leaves_data_that_waits_for_its_readers(
    server: S3Server, store: S3BlobStore, prefix: str
) -> None:
    content = os.urandom(20 * MIB)
    digest = put(store, content)
    with store.open(digest) as reader:
        assert store.delete(digest)
        assert list(store.leftovers()) == []
        assert reader.read(0, len(content)) == content
    impatient = server.store(prefix, abandoned_after=AT_ONCE)
    assert [impatient.remove_leftover(leftover.name) for leftover in impatient.leftovers()] == [True]
    assert server.keys(prefix) == []


def test_equal_content_replaces_and_the_older_data_is_collected(
    server: S3Server, store: S3BlobStore, prefix: str
) -> None:
    put(store)
    put(store)
    assert sorted(kinds(server, prefix)) == ["data", "data", "sha256"]
    impatient = server.store(prefix, abandoned_after=AT_ONCE)
    assert list(impatient.leftovers()) == []
    for leftover in impatient.leftovers():
        assert impatient.remove_leftover(leftover.name)
    assert sorted(kinds(server, prefix)) == ["data", "sha256"]
    with store.open(DIGEST) as reader:
        assert reader.read(0, 7) == CONTENT


def test_the_note_of_data_that_is_in_use_again_is_dropped(server: S3Server, store: S3BlobStore, prefix: str) -> None:
    with store.begin() as writer:
        writer.write([CONTENT])
        writer.publish()
        store.delete(DIGEST)
        assert sorted(kinds(server, prefix)) == ["data", "orphans"]
        writer.publish()
    assert sorted(kinds(server, prefix)) == ["data", "sha256"]
    server.bucket(prefix).put(f"orphans/{'b' * 32}", b"")
    assert list(store.leftovers()) == []
    assert sorted(kinds(server, prefix)) == ["data", "sha256"]


def test_a_writer_whose_data_was_collected_does_not_refer_to_it(
    server: S3Server, store: S3BlobStore, prefix: str
) -> None:
    with store.begin() as writer:
        writer.write([CONTENT])
        writer.publish()
        store.delete(DIGEST)
        drop(server, prefix, "data")
        with pytest.raises(StoreUnavailable):
            writer.publish()
    assert store.stat(DIGEST) is None


def test_publishing_again_keeps_the_blob_of_another_writer(store: S3BlobStore) -> None:
    with store.begin() as writer:
        writer.write([CONTENT])
        writer.publish()
        put(store)
        before = list(store.list())
        writer.publish()
        assert list(store.list()) == before


@pytest.mark.parametrize("content", [b"", CONTENT, bytes(MIB)], ids=["empty", "small", "large"])
def test_a_reference_whose_data_is_gone_is_a_missing_blob(
    server: S3Server, store: S3BlobStore, prefix: str, content: bytes
) -> None:
    digest = put(store, content)
    drop(server, prefix, "data")
    with pytest.raises(BlobMissing):
        store.open(digest)


@pytest.mark.parametrize("left", [0, 3])
def test_data_that_was_cut_short_has_its_real_size(
    server: S3Server, store: S3BlobStore, prefix: str, left: int
) -> None:
    put(store)
    key = drop(server, prefix, "data")
    server.client().put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=CONTENT[:left])
    with store.open(DIGEST) as reader:
        assert reader.size == left
        assert reader.read(0, 7) == CONTENT[:left]


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"data": "../x", "size": 7}', b'{"data": "%s", "size": "7"}' % (b"a" * 32)]
)
def test_a_damaged_reference_stops_whoever_needs_it(moto: S3Server, prefix: str, text: bytes) -> None:
    store = moto.store(prefix)
    moto.bucket(prefix).put(f"sha256/{DIGEST}", text)
    uses: list[Callable[[], object]] = [
        lambda: store.open(DIGEST),
        lambda: store.stat(DIGEST),
        lambda: list(store.list()),
        lambda: list(store.leftovers()),
    ]
    for use in uses:
        with pytest.raises(StoreUnavailable, match=f"reference of {DIGEST} is damaged"):
            use()


@pytest.mark.parametrize("name", ["probes/readiness", f"probes/{'c' * 32}"])
def test_a_probe_that_nobody_removed_goes_when_it_is_old(
    server: S3Server, store: S3BlobStore, prefix: str, name: str
) -> None:
    server.bucket(prefix).put(name, b"")
    assert list(store.leftovers()) == []
    assert not store.remove_leftover(name)
    impatient = server.store(prefix, abandoned_after=AT_ONCE)
    assert [(found.name, found.size) for found in impatient.leftovers()] == [(name, 0)]
    assert impatient.remove_leftover(name)
    assert not impatient.remove_leftover(name)
    assert server.keys(prefix) == []


def test_objects_of_others_below_the_prefix_are_left_alone(moto: S3Server, prefix: str) -> None:
    store = moto.store(prefix, abandoned_after=AT_ONCE)
    bucket = moto.bucket(prefix)
    for key in ("sha256/notes", "data/readme", "probes/x", "other/x"):
        bucket.put(key, b"theirs")
    upload_id = bucket.create_upload("data/readme")
    assert list(store.list()) == []
    assert [list(store.leftovers()) for _ in range(2)] == [[], []]
    assert not store.remove_leftover("data/readme")
    assert not store.remove_leftover(f"upload/readme/{upload_id}")
    assert moto.uploads(prefix) == ["data/readme"]
    assert sorted(moto.keys(prefix)) == ["data/readme", "other/x", "probes/x", "sha256/notes"]


def test_leftovers_wait_a_day() -> None:
    assert ABANDONED_SECONDS == 24 * 60 * 60


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The requests that buckets get from now on: method, and kind of key."""
    return noted_requests(monkeypatch)


def test_a_blob_that_was_written_or_opened_lately_is_opened_by_one_request(
    server: S3Server, prefix: str, asked: list[tuple[str, str]]
) -> None:
    writing, reading = server.store(prefix), server.store(prefix)
    digest = put(writing, b"small")
    asked.clear()
    for store, expected in ((writing, ["data"]), (reading, ["sha256", "data"]), (reading, ["data"])):
        with store.open(digest) as reader:
            assert reader.read(0, 5) == b"small"
        assert asked == [("GET", kind) for kind in expected]
        asked.clear()


def test_what_is_remembered_of_a_blob_is_asked_for_once_its_data_is_gone(server: S3Server, prefix: str) -> None:
    store, other = server.store(prefix), server.store(prefix)
    digest = put(store, b"small")
    drop(server, prefix, "data")
    put(other, b"small")  # elsewhere, by another process
    with store.open(digest) as reader:
        assert reader.read(0, 5) == b"small"
    drop(server, prefix, "data")
    for each in (store, other):
        with pytest.raises(BlobMissing):
            each.open(digest)


def test_a_blob_that_was_deleted_is_not_remembered(store: S3BlobStore) -> None:
    digest = put(store, b"small")
    assert store.delete(digest)
    with pytest.raises(BlobMissing):
        store.open(digest)


def test_a_bounded_number_of_references_is_remembered_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 2)
    known = remembered.Remembered()
    for digest in ("a", "b", "a", "c"):
        known.put(digest, Reference(digest, 1))
    assert [known.get(digest) for digest in "abc"] == [Reference("a", 1), None, Reference("c", 1)]
    monkeypatch.setattr(remembered, "REMEMBERED_SECONDS", 0.0)
    known.put("c", Reference("c", 1))
    assert known.get("c") is None
