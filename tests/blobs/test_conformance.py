"""What every blob store must do. The `store` fixture fails a test that leaves anything behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import overload

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.memory import MemoryBlobStore
from modelyard.blobs.store import BlobMissing, BlobStore, WriterClosed
from modelyard.blobs.timed import TimedStore

from .tools import files, put, sha256

UNKNOWN = "0" * 64


def get(store: BlobStore, digest: str) -> bytes:
    with store.open(digest) as reader:
        return reader.read(0, reader.size)


def digests(store: BlobStore) -> list[str]:
    return [blob.digest for blob in store.list()]


def open_files_below(root: Path) -> list[str]:
    """What this process holds open in the store's folder, where the system tells."""
    descriptors = Path("/proc/self/fd")
    paths = [str(link.readlink()) for link in descriptors.iterdir() if link.exists()] if descriptors.exists() else []
    return [path for path in paths if path.startswith(str(root))]


@pytest.fixture
def kept() -> set[str]:
    """The digests that a test means to leave in its store."""
    return set()


@pytest.fixture
def memory_store() -> Iterator[BlobStore]:
    store = MemoryBlobStore()
    yield store
    assert store.used == sum(blob.size for blob in store.list())


@pytest.fixture
def local_store(root: Path, kept: set[str]) -> Iterator[BlobStore]:
    yield LocalBlobStore(root)
    assert files(root) == sorted(f"sha256/{digest[:2]}/{digest[2:4]}/{digest}" for digest in kept)
    assert open_files_below(root) == []


@pytest.fixture
def timed_store(memory_store: BlobStore) -> BlobStore:
    return TimedStore(memory_store, lambda _step, _seconds: None)


@pytest.fixture(params=["memory", "local", "timed"])
def store(request: pytest.FixtureRequest, kept: set[str]) -> Iterator[BlobStore]:
    yield from observed(request.getfixturevalue(f"{request.param}_store"), kept)


def observed(store: BlobStore, kept: set[str]) -> Iterator[BlobStore]:
    """A store that has nothing but what was meant to be kept when its test ends."""
    yield store
    assert list(store.leftovers()) == []
    assert set(digests(store)) == kept
    assert {digest: sha256(get(store, digest)) for digest in kept} == {digest: digest for digest in kept}


def test_published_bytes_come_back_whole(store: BlobStore, kept: set[str]) -> None:
    kept.add(put(store, b"weights"))
    assert kept == {sha256(b"weights")}
    assert get(store, sha256(b"weights")) == b"weights"


def test_a_published_blob_has_its_size_and_the_time_of_its_writing(store: BlobStore, kept: set[str]) -> None:
    before = time.time()
    digest = put(store, b"weights")
    kept.add(digest)
    found = store.stat(digest)
    assert found is not None
    assert (found.digest, found.size) == (digest, 7)
    # File systems round to their own tick, at worst two seconds.
    assert before - 2 <= found.modified <= time.time() + 2
    assert list(store.list()) == [found]


def test_nothing_is_visible_before_publishing(store: BlobStore) -> None:
    digest = sha256(b"weights")
    with store.begin() as writer:
        writer.write([b"weights"])
        assert writer.digest() == digest
        assert store.stat(digest) is None
        assert digests(store) == []
        with pytest.raises(BlobMissing):
            store.open(digest)


def test_a_published_blob_is_visible_before_its_writer_is_closed(store: BlobStore, kept: set[str]) -> None:
    with store.begin() as writer:
        writer.write([b"weights"])
        writer.publish()
        kept.add(writer.digest())
        assert get(store, writer.digest()) == b"weights"


def test_publishing_twice_changes_nothing(store: BlobStore, kept: set[str]) -> None:
    with store.begin() as writer:
        writer.write([b"weights"])
        writer.publish()
        once = list(store.list())
        writer.publish()
        assert list(store.list()) == once
    kept.add(sha256(b"weights"))


@pytest.mark.parametrize("size", [0, 7, 3 * 1024 * 1024 + 1])
def test_publishing_again_restores_a_deleted_blob_as_often_as_needed(
    store: BlobStore, kept: set[str], size: int
) -> None:
    content = os.urandom(size)
    with store.begin() as writer:
        writer.write([content])
        writer.publish()
        for _ in range(3):
            assert store.delete(writer.digest())
            writer.publish()
            assert get(store, writer.digest()) == content
    kept.add(sha256(content))


def test_a_blob_deleted_after_publishing_stays_deleted_when_the_writer_closes(store: BlobStore) -> None:
    with store.begin() as writer:
        writer.write([b"weights"])
        writer.publish()
        store.delete(writer.digest())
    assert digests(store) == []


def test_equal_content_from_two_writers_is_one_blob(store: BlobStore, kept: set[str]) -> None:
    with store.begin() as first, store.begin() as second:
        first.write([b"wei", b"ghts"])
        second.write([b"weights"])
        first.publish()
        second.publish()
        first.publish()
    kept.add(sha256(b"weights"))
    assert digests(store) == [sha256(b"weights")]


def test_one_of_two_equal_writers_may_give_up(store: BlobStore, kept: set[str]) -> None:
    with store.begin() as kept_writer:
        kept_writer.write([b"weights"])
        with store.begin() as dropped:
            dropped.write([b"weights"])
        kept_writer.publish()
    kept.add(sha256(b"weights"))


def test_an_empty_blob_is_a_blob(store: BlobStore, kept: set[str]) -> None:
    with store.begin() as writer:
        writer.publish()
        assert (writer.size, writer.digest()) == (0, sha256(b""))
    kept.add(sha256(b""))
    with store.open(sha256(b"")) as reader:
        assert (reader.size, reader.read(0, 10)) == (0, b"")


def test_a_large_blob_in_odd_chunks_comes_back_whole(store: BlobStore, kept: set[str]) -> None:
    content = os.urandom(3 * 1024 * 1024 + 17)
    with store.begin() as writer:
        for start in range(0, len(content), 70_001):
            writer.write([content[start : start + 70_001]])
        writer.publish()
        assert writer.size == len(content)
    kept.add(sha256(content))
    assert get(store, sha256(content)) == content


def test_one_write_takes_more_buffers_than_one_system_call(store: BlobStore, kept: set[str]) -> None:
    chunks = [bytes([number % 251]) * (number % 7) for number in range(5000)]
    with store.begin() as writer:
        writer.write(chunks)
        writer.publish()
        assert writer.size == sum(map(len, chunks))
    kept.add(sha256(b"".join(chunks)))
    assert get(store, sha256(b"".join(chunks))) == b"".join(chunks)


@pytest.mark.parametrize(
    "chunk",
    [b"weights!", bytearray(b"weights!"), memoryview(b"<weights!>")[1:9], memoryview(b"weights!").cast("I")],
    ids=["bytes", "bytearray", "slice", "words"],
)
def test_every_contiguous_buffer_counts_by_its_bytes(
    store: BlobStore, kept: set[str], chunk: bytes | bytearray | memoryview
) -> None:
    with store.begin() as writer:
        writer.write([chunk])
        writer.publish()
        assert (writer.size, writer.digest()) == (8, sha256(b"weights!"))
    kept.add(sha256(b"weights!"))


# The fixtures are made once for all examples, which is what is wanted: one store takes them all.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(batches=st.lists(st.lists(st.binary(max_size=300), max_size=5), max_size=5))
def test_the_digest_does_not_depend_on_how_the_bytes_are_split(
    store: BlobStore, kept: set[str], batches: list[list[bytes]]
) -> None:
    content = b"".join(chunk for batch in batches for chunk in batch)
    with store.begin() as writer:
        for batch in batches:
            writer.write(batch)
        writer.publish()
        kept.add(writer.digest())
        assert (writer.size, writer.digest()) == (len(content), sha256(content))
    assert get(store, sha256(content)) == content


def test_a_writer_closed_unpublished_leaves_nothing(store: BlobStore) -> None:
    writer = store.begin()
    writer.write([b"weights"])
    writer.close()
    assert store.stat(sha256(b"weights")) is None


def test_an_error_inside_with_leaves_nothing(store: BlobStore) -> None:
    def upload_until_the_client_leaves() -> None:
        with store.begin() as writer:
            writer.write([b"weights"])
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        upload_until_the_client_leaves()
    assert digests(store) == []


def test_closing_twice_is_allowed_and_size_and_digest_remain(store: BlobStore) -> None:
    writer = store.begin()
    writer.write([b"weights"])
    writer.close()
    writer.close()
    assert (writer.size, writer.digest()) == (7, sha256(b"weights"))


def test_a_closed_writer_takes_nothing(store: BlobStore) -> None:
    writer = store.begin()
    writer.close()
    with pytest.raises(WriterClosed):
        writer.write([b"weights"])
    with pytest.raises(WriterClosed):
        writer.publish()


def test_a_published_blob_does_not_grow(store: BlobStore, kept: set[str]) -> None:
    with store.begin() as writer:
        writer.write([b"weights"])
        writer.publish()
        with pytest.raises(WriterClosed):
            writer.write([b" and more"])
        store.delete(writer.digest())
        writer.publish()
    kept.add(sha256(b"weights"))


def test_a_failed_write_ends_the_writer(store: BlobStore) -> None:
    with store.begin() as writer:
        writer.write([b"weights"])
        with pytest.raises(TypeError):
            writer.write([b"more", memoryview(b"every other byte")[::2]])
        with pytest.raises(WriterClosed):
            writer.publish()


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 7), (0, 3), (2, 3), (6, 1), (4, 100), (7, 1), (1000, 5), (3, 0), (0, 2**62)],
)
def test_a_range_is_the_slice_of_the_blob(store: BlobStore, kept: set[str], offset: int, length: int) -> None:
    kept.add(put(store, b"weights"))
    with store.open(sha256(b"weights")) as reader:
        assert reader.size == 7
        assert reader.read(offset, length) == b"weights"[offset : offset + length]


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1)])
def test_a_negative_range_is_refused(store: BlobStore, kept: set[str], offset: int, length: int) -> None:
    kept.add(put(store, b"weights"))
    with store.open(sha256(b"weights")) as reader, pytest.raises(ValueError, match="negative"):
        reader.read(offset, length)


def test_one_reader_serves_several_threads(store: BlobStore, kept: set[str]) -> None:
    content = os.urandom(100_000)
    kept.add(put(store, content))
    with store.open(sha256(content)) as reader, ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda offset: reader.read(offset, 1000), range(0, len(content), 1000)))
    assert b"".join(parts) == content


def test_a_closed_reader_reads_nothing(store: BlobStore, kept: set[str]) -> None:
    kept.add(put(store, b"weights"))
    reader = store.open(sha256(b"weights"))
    reader.close()
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.read(0, 1)


def test_an_open_reader_outlives_the_deletion_of_its_blob(store: BlobStore) -> None:
    digest = put(store, b"weights")
    with store.open(digest) as reader:
        assert store.delete(digest)
        assert reader.read(0, 7) == b"weights"
        with pytest.raises(BlobMissing):
            store.open(digest)


def test_an_unknown_digest_is_missing_everywhere(store: BlobStore) -> None:
    with pytest.raises(BlobMissing, match=UNKNOWN):
        store.open(UNKNOWN)
    assert store.stat(UNKNOWN) is None
    assert not store.delete(UNKNOWN)


def test_deleting_reports_only_the_first_time(store: BlobStore) -> None:
    digest = put(store, b"weights")
    assert store.delete(digest)
    assert not store.delete(digest)
    assert store.stat(digest) is None


@pytest.mark.parametrize(
    "name",
    ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", "../" + "0" * 61, "\u0660" * 64],
    ids=["empty", "short", "long", "upper", "no-hex", "newline", "path", "other-digits"],
)
@pytest.mark.parametrize("method", ["open", "stat", "delete"])
def test_what_is_no_digest_is_refused(store: BlobStore, method: str, name: str) -> None:
    act: Callable[[str], object] = getattr(store, method)
    with pytest.raises(ValueError, match="not a SHA-256"):
        act(name)


def test_the_list_is_sorted_by_digest_and_complete(store: BlobStore, kept: set[str]) -> None:
    kept.update(put(store, bytes([number])) for number in range(40))
    assert digests(store) == sorted(kept)


def test_blobs_may_be_deleted_while_they_are_listed(store: BlobStore) -> None:
    for number in range(40):
        put(store, bytes([number]))
    for blob in store.list():
        assert store.delete(blob.digest)


def test_there_is_no_leftover_of_a_made_up_name(store: BlobStore) -> None:
    assert not store.remove_leftover("0" * 32)
    assert not store.remove_leftover("../sha256")


def test_a_living_writer_is_no_leftover(store: BlobStore, kept: set[str]) -> None:
    with store.begin() as writer:
        writer.write([b"weights"])
        assert list(store.leftovers()) == []
        writer.publish()
        assert list(store.leftovers()) == []
    kept.add(sha256(b"weights"))


def test_a_probe_leaves_nothing(store: BlobStore) -> None:
    store.probe()


def test_writers_in_threads_do_not_disturb_each_other(store: BlobStore, kept: set[str]) -> None:
    # Every content twice, so that equal ones race as well.
    contents = [os.urandom(50_000 + number) for number in range(20)] * 2
    with ThreadPoolExecutor(8) as pool:
        kept.update(pool.map(lambda content: put(store, content), contents))
    assert kept == set(map(sha256, contents))


class HeldBackChunks(Sequence[bytes]):
    """One chunk that the writer gets only when the test says so."""

    def __init__(self, chunk: bytes) -> None:
        self.asked = threading.Event()
        self.given = threading.Event()
        self._chunk = chunk

    def __len__(self) -> int:
        return 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        self.asked.set()
        assert self.given.wait(10)
        return [self._chunk][index]


def test_closing_waits_for_a_running_write(store: BlobStore) -> None:
    writer = store.begin()
    chunks = HeldBackChunks(b"weights")
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(writer.write, chunks)
        assert chunks.asked.wait(10)
        closing = pool.submit(writer.close)
        # A close that does not wait ends within this time; one that does cannot.
        with pytest.raises(TimeoutError):
            closing.result(timeout=0.2)
        chunks.given.set()
        writing.result(10)
        closing.result(10)
    assert writer.digest() == sha256(b"weights")
    with pytest.raises(WriterClosed):
        writer.write([b"more"])
