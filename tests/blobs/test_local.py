"""How the local store lays out its files, and what it makes of a disk that refuses."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from modelyard.blobs import linking
from modelyard.blobs.linking import Linker
from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.store import BlobError, BlobMissing, StoreFull, StoreUnavailable, WriterClosed

from .tools import CONTENT, DIGEST, SHARD, failing, files, put


def test_files_and_folders_are_private_to_the_owner(root: Path, store: LocalBlobStore) -> None:
    with store.begin() as writer:
        writer.write([CONTENT])
        (incoming,) = (root / "incoming").iterdir()
        assert stat.S_IMODE(incoming.stat().st_mode) == 0o600
        writer.publish()
    assert files(root) == [f"{SHARD}/{DIGEST}"]
    assert stat.S_IMODE((root / SHARD / DIGEST).stat().st_mode) == 0o600
    folders = [root.parent, root, *(path for path in root.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_a_removed_shard_is_made_again(root: Path, store: LocalBlobStore) -> None:
    put(store)
    shutil.rmtree(root / "sha256")
    put(store)
    assert files(root) == [f"{SHARD}/{DIGEST}"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EFBIG, StoreFull),
        (errno.EIO, StoreUnavailable),
        (errno.EROFS, StoreUnavailable),
    ],
    ids=["disk-full", "quota", "file-too-big", "damaged", "read-only"],
)
def test_a_write_that_the_disk_refuses_ends_the_writer_and_frees_its_bytes(
    root: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[BlobError]
) -> None:
    with store.begin() as writer:
        writer.write([CONTENT])
        monkeypatch.setattr(os, "pwritev", failing(number))
        with pytest.raises(kind) as raised:
            writer.write([CONTENT])
        assert isinstance(raised.value.__cause__, OSError)
        assert files(root) == []
        with pytest.raises(WriterClosed):
            writer.publish()


def test_a_file_that_really_hits_a_limit_half_way_is_refused_as_full(root: Path, store: LocalBlobStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with store.begin() as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            with pytest.raises(StoreFull):
                writer.write([bytes(3 << 19), bytes(1 << 19)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(root) == []


def test_a_restore_that_fails_leaves_nothing_behind(
    root: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.begin() as writer:
        writer.write([CONTENT])
        writer.publish()
        store.delete(DIGEST)
        monkeypatch.setattr(os, "pwritev", failing(errno.ENOSPC))
        with pytest.raises(StoreFull):
            writer.publish()
    assert files(root) == []


def test_short_writes_are_continued(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    pwritev = os.pwritev

    def write_seven_bytes(descriptor: int, buffers: Sequence[memoryview], offset: int) -> int:
        return pwritev(descriptor, [b"".join(buffers)[:7]], offset)

    monkeypatch.setattr(os, "pwritev", write_seven_bytes)
    content = bytes(range(256))
    with store.begin() as writer:
        writer.write([content[:3], b"", content[3:20], content[20:24], content[24:]])
        writer.publish()
    with store.open(writer.digest()) as reader:
        assert reader.read(0, 256) == content


def test_short_reads_are_continued_to_the_end(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, length, offset: pread(descriptor, min(length, 2), offset))
    with store.open(DIGEST) as reader:
        assert reader.read(1, 5) == CONTENT[1:6]


def test_a_file_cut_short_while_it_is_read_gives_what_is_left(root: Path, store: LocalBlobStore) -> None:
    put(store)
    with store.open(DIGEST) as reader:
        os.truncate(root / SHARD / DIGEST, 3)
        assert reader.read(0, 7) == CONTENT[:3]


def test_a_read_that_the_disk_refuses_is_unavailable(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store)
    with store.open(DIGEST) as reader:
        monkeypatch.setattr(os, "pread", failing(errno.EIO))
        with pytest.raises(StoreUnavailable):
            reader.read(0, 1)


def test_writing_the_same_bytes_again_heals_and_renews_a_blob(root: Path, store: LocalBlobStore) -> None:
    put(store)
    path = root / SHARD / DIGEST
    path.write_bytes(b"damaged")
    os.utime(path, (1, 1))
    put(store)
    found = store.stat(DIGEST)
    assert found is not None
    assert found.modified > 1
    assert path.read_bytes() == CONTENT


def test_a_blob_is_as_old_as_its_publication(root: Path, store: LocalBlobStore) -> None:
    with store.begin() as writer:
        writer.write([CONTENT])
        (incoming,) = (root / "incoming").iterdir()
        os.utime(incoming, (1, 1))
        writer.publish()
    assert (root / SHARD / DIGEST).stat().st_mtime > 1


def test_the_list_passes_over_what_is_not_a_blob(root: Path, store: LocalBlobStore) -> None:
    put(store)
    other_shard = root / "sha256" / "00" / "00"
    other_shard.mkdir(parents=True)
    for path in (root / "sha256" / "README", root / SHARD / "x", other_shard / DIGEST, other_shard / ("f" * 64)):
        path.write_text("not a blob")
    assert [blob.digest for blob in store.list()] == [DIGEST]


def test_a_store_over_an_existing_folder_finds_its_blobs(root: Path, store: LocalBlobStore) -> None:
    put(store)
    assert [blob.digest for blob in LocalBlobStore(root).list()] == [DIGEST]


def test_a_relative_root_does_not_follow_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalBlobStore(Path("blobs"))
    monkeypatch.chdir("/")
    put(store)
    assert files(tmp_path / "blobs") == [f"{SHARD}/{DIGEST}"]


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable):
        LocalBlobStore(tmp_path / "file")


def test_a_root_that_vanished_is_unavailable_and_not_made_again(root: Path, store: LocalBlobStore) -> None:
    put(store)
    shutil.rmtree(root)
    for act in (store.probe, store.begin, lambda: list(store.list()), lambda: list(store.leftovers())):
        with pytest.raises(StoreUnavailable):
            act()
    with pytest.raises(BlobMissing):
        store.open(DIGEST)
    assert not root.exists()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES], ids=["read-only", "forbidden"])
def test_a_root_that_takes_no_files_fails_its_probe_but_is_readable(
    root: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    put(store)
    open_any = os.open

    def open_existing(path: Path, flags: int, mode: int = 0o777) -> int:
        return failing(number)() if flags & os.O_CREAT else open_any(path, flags, mode)

    monkeypatch.setattr(os, "open", open_existing)
    with pytest.raises(StoreUnavailable):
        store.probe()
    with LocalBlobStore(root).open(DIGEST) as reader:
        assert reader.read(0, 7) == CONTENT


def test_a_blob_is_linked_where_both_may_have_it(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, other = put(store), LocalBlobStore(tmp_path / "other")
    linker = Linker(store, other)
    with monkeypatch.context() as patched:
        patched.setattr(linking, "can_share", lambda _path, _folder: False)
        assert not linker.link(digest)
    assert other.stat(digest) is None
    assert linker.link(digest)
    linker.sync()
    assert other.path(digest).samefile(store.path(digest))
