"""The memory store's own: it can be full or broken on demand."""

from __future__ import annotations

import pytest

from modelyard.blobs.memory import MemoryBlobStore
from modelyard.blobs.store import StoreFull, StoreUnavailable, WriterClosed


def test_a_write_over_the_capacity_fails_and_gives_its_room_back() -> None:
    store = MemoryBlobStore(capacity=10)
    with store.begin() as writer:
        writer.write([b"12345"])
        with pytest.raises(StoreFull, match="5 of 10"):
            writer.write([b"67", b"8901"])
        assert store.used == 0
        with pytest.raises(WriterClosed):
            writer.publish()
    assert list(store.list()) == []


def test_the_last_byte_of_the_capacity_can_be_used() -> None:
    store = MemoryBlobStore(capacity=10)
    with store.begin() as writer:
        writer.write([b"1234567890"])
        writer.publish()
    assert store.used == 10


def test_unfinished_writes_count_until_they_are_closed() -> None:
    store = MemoryBlobStore(capacity=10)
    with store.begin() as first, store.begin() as second:
        first.write([b"123456"])
        with pytest.raises(StoreFull):
            second.write([b"123456"])
    assert store.used == 0


def test_deleting_makes_room_and_equal_content_counts_once() -> None:
    store = MemoryBlobStore(capacity=20)
    for _ in range(2):
        with store.begin() as writer:
            writer.write([b"1234567890"])
            writer.publish()
    assert store.used == 10
    store.delete(writer.digest())
    assert store.used == 0


def test_a_deleted_blob_is_not_restored_where_its_room_is_taken() -> None:
    store = MemoryBlobStore(capacity=10)
    with store.begin() as writer:
        writer.write([b"1234567890"])
        writer.publish()
        store.delete(writer.digest())
        store.capacity = 9
        with pytest.raises(StoreFull):
            writer.publish()
    assert store.used == 0


def test_a_broken_store_fails_its_probe_until_it_is_mended() -> None:
    store = MemoryBlobStore()
    store.broken = True
    with pytest.raises(StoreUnavailable):
        store.probe()
    store.broken = False
    store.probe()
