"""Whose an unfinished file is, and what happens to those of the dead."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelyard.blobs._incoming import abandoned
from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.store import Leftover, StoreUnavailable

from .tools import CONTENT, DIGEST, SHARD, failing, files

WRITE_AND_WAIT = """
import sys
from pathlib import Path
from modelyard.blobs.local import LocalBlobStore
writer = LocalBlobStore(Path(sys.argv[1])).begin()
writer.write([b"weights"])
print("written", flush=True)
sys.stdin.read()
"""


@contextmanager
def process_that_writes(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(root)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_process_leaves_a_leftover_that_can_be_removed(root: Path, store: LocalBlobStore) -> None:
    with process_that_writes(root) as process:
        process.kill()
        process.wait()
        (leftover,) = store.leftovers()
        modified = (root / "incoming" / leftover.name).stat().st_mtime
        assert leftover == Leftover(leftover.name, len(CONTENT), modified)
        assert store.remove_leftover(leftover.name)
    assert not store.remove_leftover(leftover.name)
    assert list(store.leftovers()) == []
    assert files(root) == []


def test_a_living_process_keeps_its_unfinished_write(root: Path, store: LocalBlobStore) -> None:
    with process_that_writes(root):
        (name,) = os.listdir(root / "incoming")
        assert list(store.leftovers()) == []
        assert not store.remove_leftover(name)
        assert files(root) == [f"incoming/{name}"]


def test_a_living_writer_of_this_process_keeps_its_file(root: Path, store: LocalBlobStore) -> None:
    with store.begin() as writer:
        writer.write([CONTENT])
        (name,) = os.listdir(root / "incoming")
        assert not LocalBlobStore(root).remove_leftover(name)
        writer.publish()
    assert store.stat(DIGEST) is not None


def test_a_leftover_that_another_collector_holds_is_not_removed(root: Path, store: LocalBlobStore) -> None:
    name = "0" * 32
    (root / "incoming" / name).write_bytes(CONTENT)
    with abandoned(root / "incoming" / name) as found:
        assert found is not None
        assert not store.remove_leftover(name)
    assert store.remove_leftover(name)


def test_a_leftover_that_vanishes_while_it_is_locked_is_none(
    root: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "0" * 32
    (root / "incoming" / name).write_bytes(CONTENT)
    monkeypatch.setattr(fcntl, "flock", lambda *_: (root / "incoming" / name).unlink())
    assert not store.remove_leftover(name)


def test_files_of_others_in_incoming_are_left_alone(root: Path, store: LocalBlobStore) -> None:
    (root / "incoming" / "notes.txt").write_text("mine")
    assert list(store.leftovers()) == []
    assert not store.remove_leftover("notes.txt")
    assert files(root) == ["incoming/notes.txt"]


def test_a_file_collected_before_it_is_locked_is_made_anew(
    root: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    collected: list[str] = []

    def collect_then_lock(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX and not collected:
            collected.extend(leftover.name for leftover in store.leftovers())
            assert [store.remove_leftover(name) for name in collected] == [True]
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", collect_then_lock)
    with store.begin() as writer:
        (name,) = os.listdir(root / "incoming")
        assert name not in collected
        writer.write([CONTENT])
        writer.publish()
    assert files(root) == [f"{SHARD}/{DIGEST}"]


def test_a_file_system_without_locks_is_refused_and_left_clean(
    root: Path, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    with pytest.raises(StoreUnavailable):
        store.begin()
    assert files(root) == []


def test_closing_never_raises_and_the_rest_is_a_leftover(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = store.begin()
    writer.write([CONTENT])
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", failing(errno.EROFS))
        writer.close()
    (leftover,) = store.leftovers()
    assert store.remove_leftover(leftover.name)
