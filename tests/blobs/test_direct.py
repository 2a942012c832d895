"""Pages of large files past the page cache: the same bytes, and the same refusals, as through it."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.blobs import _direct
from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.store import BlobError, BlobWriter, StoreFull, StoreUnavailable, WriterClosed
from modelyard.memory_pages import PAGE_BYTES, Blocks

from .tools import failing, files, sha256

CONTENT = random.Random(5).randbytes(40 * PAGE_BYTES)
BLOCK = 8 * PAGE_BYTES

pytestmark = pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="O_DIRECT is Linux's own")


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Offset and length of each write past the cache, of files that need not be large."""
    seen: list[tuple[int, int]] = []
    real = os.pwritev

    def record(descriptor: int, chunks: Sequence[memoryview], offset: int) -> int:
        if is_direct(descriptor):
            seen.append((offset, sum(map(len, chunks))))
        return real(descriptor, chunks, offset)

    monkeypatch.setattr(_direct, "FROM_BYTES", 2 * PAGE_BYTES)
    monkeypatch.setattr(_direct, "LEAST_BYTES", 2 * PAGE_BYTES)
    monkeypatch.setattr(os, "pwritev", record)
    return seen


def is_direct(descriptor: int) -> bool:
    with open(f"/proc/self/fdinfo/{descriptor}") as info:
        flags = next(int(line.split()[1], 8) for line in info if line.startswith("flags:"))
    return bool(flags & os.O_DIRECT)


def pages(content: bytes, offset: int) -> memoryview:
    """The content in memory that lies as it will in the file."""
    size = max(1, -(-(offset % PAGE_BYTES + len(content)) // PAGE_BYTES)) * PAGE_BYTES
    view = Blocks().take(size, offset)[: len(content)]
    view[:] = content
    return view


def write(writer: BlobWriter, content: bytes, block: int = BLOCK) -> None:
    """Write as large bodies come: each block up to the end of a page."""
    while content:
        taken = block - writer.size % PAGE_BYTES
        writer.write([pages(content[:taken], writer.size)])
        content = content[taken:]


def stored(store: LocalBlobStore, content: bytes) -> bytes:
    with store.open(sha256(content)) as reader:
        return reader.read(0, reader.size)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (3 * PAGE_BYTES, []),
        (4 * PAGE_BYTES - 1, []),
        (4 * PAGE_BYTES, [(2, 2)]),
        (18 * PAGE_BYTES - 1, [(2, 6), (8, 8)]),
        (18 * PAGE_BYTES, [(2, 6), (8, 8), (16, 2)]),
        (19 * PAGE_BYTES - 1, [(2, 6), (8, 8), (16, 2)]),
        (40 * PAGE_BYTES, [(2, 6), (8, 8), (16, 8), (24, 8), (32, 8)]),
    ],
)
def test_what_is_written_is_what_is_read(
    root: Path, store: LocalBlobStore, direct: list[tuple[int, int]], size: int, expected: list[tuple[int, int]]
) -> None:
    """Whole pages go past the cache, but the first two; not where they are less than two."""
    with store.begin() as writer:
        write(writer, CONTENT[:size])
        writer.publish()
        assert writer.digest() == sha256(CONTENT[:size])
    assert stored(store, CONTENT[:size]) == CONTENT[:size]
    assert sorted(direct) == [(offset * PAGE_BYTES, length * PAGE_BYTES) for offset, length in expected]
    assert len(files(root)) == 1


# The fixtures are made once for all examples, which is what is wanted: one store takes them all.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    pieces=st.lists(
        st.lists(st.tuples(st.integers(0, 5 * PAGE_BYTES), st.booleans(), st.integers(-1, 1)), max_size=4), max_size=8
    )
)
def test_pages_and_other_pieces_may_follow_each_other_in_any_way(
    store: LocalBlobStore, pieces: list[list[tuple[int, bool, int]]]
) -> None:
    content = b""
    with store.begin() as writer:
        for batch in pieces:
            chunks: list[bytes | memoryview] = []
            for size, aligned, off in batch:
                piece = CONTENT[len(content) % 7 :][:size]
                chunks.append(pages(piece, len(content) + off) if aligned else piece)
                content += piece
            writer.write(chunks)
        writer.publish()
    assert stored(store, content) == content


def test_a_store_may_be_told_to_go_through_the_cache(root: Path, direct: list[tuple[int, int]]) -> None:
    store = LocalBlobStore(root, direct=False)
    with store.begin() as writer:
        write(writer, CONTENT)
        writer.publish()
    assert (stored(store, CONTENT), direct) == (CONTENT, [])


@pytest.mark.parametrize(
    ("call", "number"),
    [("open", errno.EINVAL), ("open", errno.EMFILE), ("pwritev", errno.EINVAL), ("pwritev", errno.EOPNOTSUPP)],
)
def test_where_there_is_no_such_way_the_bytes_go_through_the_cache(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    refused = []
    real: Callable[..., Any] = getattr(os, call)

    def refuse(first: Any, second: Any, *others: Any) -> Any:
        if second & os.O_DIRECT if call == "open" else is_direct(first):
            refused.append(first)
            raise OSError(number, os.strerror(number))
        return real(first, second, *others)

    monkeypatch.setattr(os, call, refuse)
    with store.begin() as writer:
        write(writer, CONTENT)
        writer.publish()
    assert stored(store, CONTENT) == CONTENT
    assert 1 <= len(refused) <= _direct.IN_FLIGHT  # it is asked no more after that


def test_where_no_thread_can_be_started_the_bytes_go_through_the_cache_and_nothing_is_written_later(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, direct: list[tuple[int, int]]
) -> None:
    """What a pool could not give to a thread stays in its queue, and the next thread takes it."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with store.begin() as writer:
        write(writer, CONTENT)
        writer.publish()
    monkeypatch.undo()
    assert (stored(store, CONTENT), direct) == (CONTENT, [])
    other = tmp_path / "other"
    descriptors = [os.open(other, os.O_WRONLY | os.O_CREAT) for _ in range(5)]  # of the numbers that are free again
    with store.begin() as writer:
        write(writer, CONTENT[::-1])
        writer.publish()
    assert stored(store, CONTENT[::-1]) == CONTENT[::-1]
    assert other.stat().st_size == 0
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StoreFull), (errno.EIO, StoreUnavailable)])
@pytest.mark.parametrize("call", ["write", "publish"])
def test_a_write_that_fails_behind_the_back_is_told_by_the_next_call_and_frees_its_bytes(
    root: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[BlobError], call: str
) -> None:
    real, fail = os.pwritev, failing(number)
    monkeypatch.setattr(os, "pwritev", lambda fd, *rest: fail() if is_direct(fd) else real(fd, *rest))
    with store.begin() as writer:
        write(writer, CONTENT, len(CONTENT))
        with pytest.raises(kind):
            write(writer, CONTENT) if call == "write" else writer.publish()
        assert files(root) == []
        with pytest.raises(WriterClosed):
            writer.publish()


def test_closing_waits_for_what_is_being_written(
    root: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor that were closed before could be another file's by the time of the write."""
    begun, go_on, real = threading.Event(), threading.Event(), os.pwritev
    held: list[int] = []

    def wait(descriptor: int, *rest: Any) -> int:
        if is_direct(descriptor):
            begun.set()
            go_on.wait(10)
            held.append(os.fstat(descriptor).st_size)
        return real(descriptor, *rest)

    monkeypatch.setattr(os, "pwritev", wait)
    writer = store.begin()
    writer.write([pages(CONTENT, 0)])
    assert begun.wait(10)
    closing = threading.Thread(target=writer.close)
    closing.start()
    closing.join(0.1)
    assert closing.is_alive()
    go_on.set()
    closing.join(10)
    assert (len(held), files(root)) == (1, [])


def test_a_close_that_fails_keeps_nothing_back(
    root: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network file system, which tells of a quota only then."""
    real = os.close

    def fail(descriptor: int) -> None:
        told = is_direct(descriptor)
        real(descriptor)
        if told:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with store.begin() as writer:
        write(writer, CONTENT)
        monkeypatch.setattr(os, "close", fail)
    monkeypatch.undo()
    assert files(root) == []


def test_the_memory_of_what_is_written_is_let_go(store: LocalBlobStore) -> None:
    blocks = Blocks()
    with store.begin() as writer:
        block = blocks.take(len(CONTENT), 0)
        block[:] = CONTENT
        writer.write([block])
        writer.publish()
        del block
        assert bytes(blocks.take(len(CONTENT), 0)) == CONTENT  # the same memory
