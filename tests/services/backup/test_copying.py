"""Moving blobs from one store to another."""

from __future__ import annotations

import errno
import json
import os
import secrets
import subprocess
from pathlib import Path

import pytest

from modelyard.blobs import _posix, local
from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.memory import MemoryBlobStore
from modelyard.blobs.store import BlobStore, StoreFull
from modelyard.services.backup.copying import LISTED_AHEAD, Carrier, Copy, copy_blobs
from tests.blobs.tools import CONTENT, DIGEST, put, sha256
from tests.commands import run
from tests.s3 import BUCKET, S3Server


def contents(store: BlobStore) -> dict[str, str]:
    found = {}
    for blob in store.list():
        with store.open(blob.digest) as reader:
            found[blob.digest] = sha256(reader.read(0, reader.size))
    return found


def filled(store: BlobStore, number: int = LISTED_AHEAD + 10) -> list[str]:
    return sorted([put(store, os.urandom(5_000_000)), *(put(store, b"%d" % each) for each in range(number))])


def test_every_blob_is_copied_once_and_in_order() -> None:
    source, target = MemoryBlobStore(), MemoryBlobStore()
    digests = filled(source)
    assert [copy.sha256 for copy in copy_blobs(source, target)] == digests
    assert contents(target) == {digest: digest for digest in digests}
    assert list(copy_blobs(source, target)) == []


def test_an_interrupted_copy_goes_on() -> None:
    source, target = MemoryBlobStore(), MemoryBlobStore(capacity=1_000_000)
    digests = filled(source)
    with pytest.raises(StoreFull):
        list(copy_blobs(source, target))
    before = set(contents(target))
    assert before < set(digests)
    target.capacity = None
    assert {copy.sha256 for copy in copy_blobs(source, target)} == set(digests) - before
    assert contents(target) == {digest: digest for digest in digests}


def test_damaged_bytes_are_reported_and_not_copied(tmp_path: Path) -> None:
    source, target = LocalBlobStore(tmp_path / "source"), MemoryBlobStore()
    other = put(source, b"other")
    put(source)
    next((tmp_path / "source").rglob(DIGEST)).write_bytes(b"weighs!")
    assert set(copy_blobs(source, target)) == {Copy("damaged", DIGEST, 7), Copy("copied", other, 5)}
    assert contents(target) == {other: other}


def test_what_was_copied_in_another_size_is_copied_again(tmp_path: Path) -> None:
    source, target = MemoryBlobStore(), LocalBlobStore(tmp_path / "target")
    put(source)
    put(target)
    next((tmp_path / "target").rglob(DIGEST)).write_bytes(CONTENT[:3])
    assert list(copy_blobs(source, target)) == [Copy("copied", DIGEST, 7)]
    assert contents(target) == {DIGEST: DIGEST}


def test_a_blob_that_is_deleted_meanwhile_is_passed_over() -> None:
    class Forgetful(MemoryBlobStore):
        def stat(self, digest: str) -> None:
            source.delete(digest)

    source, target = MemoryBlobStore(), Forgetful()
    put(source)
    assert list(copy_blobs(source, target)) == []


@pytest.mark.parametrize("links", [False, True])
def test_a_blob_that_cannot_be_read_does_not_keep_the_others_from_being_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    source, target = LocalBlobStore(tmp_path / "source"), LocalBlobStore(tmp_path / "target")
    other = put(source, b"other")
    put(source)
    read = _posix.read_at

    def read_at(descriptor: int, offset: int, length: int) -> bytes:
        if length == len(CONTENT):
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, offset, length)

    monkeypatch.setattr(local, "read_at", read_at)
    carrier = Carrier(source, target, links=links)
    assert carrier.carry((DIGEST, len(CONTENT))) == Copy("damaged", DIGEST, len(CONTENT))
    assert carrier.carry((other, 5)) == Copy("linked" if links else "copied", other, 5)
    assert [blob.digest for blob in target.list()] == [other]


@pytest.mark.parametrize("name", ["moto", "swift"])
def test_the_command_moves_a_folder_into_a_bucket_and_back(
    tmp_path: Path, request: pytest.FixtureRequest, name: str
) -> None:
    server: S3Server = request.getfixturevalue(name)
    content = os.urandom(20_000_000)
    digests = {put(LocalBlobStore(tmp_path / "source"), each) for each in (b"", CONTENT, content)}
    bucket = f"s3://{BUCKET}/copies/{secrets.token_hex(8)}"

    def copy(*arguments: str) -> subprocess.CompletedProcess[str]:
        with server.as_environment():
            return run(tmp_path, "copy-blobs", *arguments, S3_ADDRESSING="path")

    there = copy(f"file://{tmp_path}/source", bucket, "--json")
    assert there.returncode == 0, there.stderr
    assert {each["sha256"] for each in json.loads(there.stdout)} == digests
    assert copy(f"file://{tmp_path}/source", bucket).stdout == ""
    assert copy(bucket, f"file://{tmp_path}/target").returncode == 0
    assert contents(LocalBlobStore(tmp_path / "target")) == {digest: digest for digest in digests}
    (tmp_path / f"target/sha256/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST}").write_bytes(b"weighs!")
    damaged = copy(f"file://{tmp_path}/target", f"file://{tmp_path}/third")
    assert damaged.returncode == 1
    assert f"damaged\t{DIGEST}\t7 bytes\n" in damaged.stdout
    nowhere = copy("gs://bucket", bucket)
    assert (nowhere.returncode, len(nowhere.stderr.splitlines())) == (2, 1)
