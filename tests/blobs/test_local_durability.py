"""The local store acknowledges nothing that a power failure could take away."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from modelyard.blobs import _layout, _local_writer, _posix
from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.store import StoreFull, StoreUnavailable, WriterClosed

from .tools import CONTENT, DIGEST, SHARD, failing, files, put


@pytest.fixture
def events(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that matter for durability, in their order; paths are relative to the root's parent."""
    seen: list[str] = []
    fsync, replace, mkdir = os.fsync, os.replace, os.mkdir

    def name(path: Path) -> str:
        return "file" if path.parent.name == "incoming" else str(path.relative_to(root.parent.parent))

    def record_fsync(descriptor: int) -> None:
        paths = [path for path in root.parent.parent.rglob("*") if os.path.samestat(path.stat(), os.fstat(descriptor))]
        seen.append(f"sync {name(paths[0]) if paths else '.'}")
        fsync(descriptor)

    def record_replace(source: Path, target: Path) -> None:
        seen.append(f"rename {name(source)}")
        replace(source, target)

    def record_mkdir(path: Path, mode: int) -> None:
        mkdir(path, mode)
        seen.append(f"make {name(path)}")

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    monkeypatch.setattr(os, "mkdir", record_mkdir)
    return seen


def test_every_folder_that_is_made_is_synced_in_its_parent(root: Path, events: list[str]) -> None:
    LocalBlobStore(root)
    assert events == [
        *("make data", "sync ."),
        *("make data/blobs", "sync data"),
        *("make data/blobs/sha256", "sync data/blobs"),
        *("make data/blobs/incoming", "sync data/blobs"),
    ]


def test_bytes_are_synced_before_they_are_renamed_and_folders_after(root: Path, events: list[str]) -> None:
    store = LocalBlobStore(root)
    events.clear()
    put(store)
    outer, shard = f"data/blobs/sha256/{DIGEST[:2]}", f"data/blobs/{SHARD}"
    assert events == [
        *(f"make {outer}", f"make {shard}"),
        "sync file",
        *("sync data/blobs/sha256", f"sync {outer}"),
        "rename file",
        f"sync {shard}",
    ]


def test_folders_known_to_be_durable_are_not_synced_again(root: Path, events: list[str]) -> None:
    store = LocalBlobStore(root)
    put(store)
    events.clear()
    put(store)
    assert events == ["sync file", "rename file", f"sync data/blobs/{SHARD}"]


def test_folders_that_another_process_made_are_synced_too(root: Path, events: list[str]) -> None:
    store = LocalBlobStore(root)
    put(LocalBlobStore(root))
    events.clear()
    put(store)
    outer, shard = f"data/blobs/sha256/{DIGEST[:2]}", f"data/blobs/{SHARD}"
    assert events == [
        "sync file",
        "sync data/blobs/sha256",
        f"sync {outer}",
        "rename file",
        f"sync {shard}",
    ]


def test_publishing_again_syncs_the_folder_of_a_blob_that_is_there(root: Path, events: list[str]) -> None:
    store = LocalBlobStore(root)
    with store.begin() as writer:
        writer.write([CONTENT])
        writer.publish()
        events.clear()
        writer.publish()
    assert events == [f"sync data/blobs/{SHARD}"]


@pytest.mark.parametrize("broken_call", ["fsync", "replace", "utime"])
def test_a_failed_publish_shows_nothing_and_cannot_be_repeated(
    root: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, broken_call: str
) -> None:
    with store.begin() as writer:
        writer.write([CONTENT])
        with monkeypatch.context() as patch:
            patch.setattr(os, broken_call, failing(errno.EIO))
            with pytest.raises(StoreUnavailable):
                writer.publish()
        with pytest.raises(WriterClosed):
            writer.publish()
        assert files(root) == []


def test_a_folder_that_cannot_be_synced_fails_the_publish(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_layout, "fsync_directory", failing(errno.EIO))
    with store.begin() as writer:
        writer.write([CONTENT])
        with pytest.raises(StoreUnavailable):
            writer.publish()
        with pytest.raises(WriterClosed):
            writer.publish()


def refuse_to_sync(monkeypatch: pytest.MonkeyPatch, number: int, *, folders: bool) -> None:
    """Let fsync fail for folders, or for files; like the system's own, it does not know what they are called."""
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) is folders:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)


@pytest.mark.parametrize("name", ["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "ENOENT", "ENOTTY"])
def test_a_file_system_that_cannot_sync_folders_is_used_without(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    refuse_to_sync(monkeypatch, getattr(errno, name), folders=True)
    store = LocalBlobStore(root)
    with store.begin() as writer:
        writer.write([CONTENT])
        writer.publish()
        writer.publish()
    assert files(root) == [f"{SHARD}/{DIGEST}"]


@pytest.mark.parametrize("name", ["EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES", "EBADF"])
def test_what_may_be_lost_with_a_folder_s_entries_is_never_acknowledged(
    store: LocalBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    put(store)
    refuse_to_sync(monkeypatch, getattr(errno, name), folders=True)
    with store.begin() as writer:
        writer.write([CONTENT])
        with pytest.raises((StoreUnavailable, StoreFull), match=f": '{root}/{SHARD}'$"):
            writer.publish()


@pytest.mark.parametrize("name", ["EINVAL", "ENOTSUP", "EIO"])
def test_bytes_that_cannot_be_synced_are_never_acknowledged(
    store: LocalBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    refuse_to_sync(monkeypatch, getattr(errno, name), folders=False)
    with store.begin() as writer:
        writer.write([CONTENT])
        with pytest.raises(StoreUnavailable, match=f": '{root}/incoming/[0-9a-f]+'$"):
            writer.publish()
    assert files(root) == []


@pytest.fixture
def writebacks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Offset and length of every early writeback, with a step of ten bytes."""
    ranges: list[tuple[int, int]] = []

    def record(_descriptor: int, offset: int, length: int, _flags: int) -> int:
        ranges.append((offset, length))
        return 0

    monkeypatch.setattr(_local_writer, "WRITEBACK_STEP", 10)
    monkeypatch.setattr(_posix, "_writeback", record)
    return ranges


def test_long_writes_are_flushed_step_by_step(store: LocalBlobStore, writebacks: list[tuple[int, int]]) -> None:
    with store.begin() as writer:
        for _ in range(5):
            writer.write([b"123456"])
    assert writebacks == [(0, 12), (12, 12)]


def test_early_flushing_may_be_missing_from_the_system(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = _posix.find_writeback("no_such_function")
    assert missing is None
    monkeypatch.setattr(_posix, "_writeback", missing)
    monkeypatch.setattr(_local_writer, "WRITEBACK_STEP", 1)
    put(store)
    assert store.stat(DIGEST) is not None


@pytest.mark.skipif(sys.platform != "linux", reason="sync_file_range is Linux's own")
def test_the_system_takes_the_early_flush(tmp_path: Path) -> None:
    flush = _posix.find_writeback()
    assert flush is not None
    with (tmp_path / "file").open("wb", buffering=0) as file:
        file.write(CONTENT)
        assert flush(file.fileno(), 0, len(CONTENT), 2) == 0
