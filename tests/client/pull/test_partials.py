"""What is there of a file, and the thread that hashes it."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard_client import PullOptions, Registry
from modelyard_client.errors import ClientError
from modelyard_client.pull.following import Follower
from modelyard_client.pull.leaving import KEPT_SECONDS
from modelyard_client.pull.partials import Partial
from modelyard_client.stopping import Stop

CONTENT = os.urandom(100)
SHA256 = "ab" * 32


@pytest.fixture
def partial(tmp_path: Path) -> Iterator[Partial]:
    partial = Partial(tmp_path, "w.bin", SHA256, len(CONTENT))
    partial.write(CONTENT, 0)
    yield partial
    partial.close()


def noted(partial: Partial, begin: int, end: int) -> None:
    partial.note(begin, end, zlib.crc32(CONTENT[begin:end]))


def test_pieces_that_overlap_or_are_no_pieces_are_not_believed(partial: Partial) -> None:
    for begin, end in ((0, 10), (10, 20), (15, 30), (50, 60)):
        noted(partial, begin, end)
    partial.note(60, 70, 1)
    with partial.path.with_suffix(".log").open("ab") as log:
        log.write(b"1 2\nx y z\n90 80 1\n90 200 1\n70 80 ")
    assert partial.pieces(Stop(), lambda _count: None) == [(0, 20), (50, 60)]
    assert partial.pieces(Stop(), lambda _count: None) == [(0, 20), (50, 60)]


def test_marks_are_kept_beside_pieces_and_what_is_none_is_not_believed(partial: Partial) -> None:
    partial.mark(30, SHA256)
    noted(partial, 50, 60)
    partial.mark(10, SHA256)
    with partial.path.with_suffix(".log").open("ab") as log:
        log.write(f"x {SHA256}\n20 abc\n101 {SHA256}\n40 {SHA256}".encode())
    for _ in range(2):
        assert partial.marks() == [(10, SHA256), (30, SHA256)]
        assert partial.pieces(Stop(), lambda _count: None) == [(50, 60)]


def test_one_that_cannot_be_opened_is_left_to_others(tmp_path: Path) -> None:
    first = Partial(tmp_path, "a", "0" * 64, 10)
    first.close()
    log = first.path.with_suffix(".log")
    log.unlink()
    log.mkdir()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ClientError, match="directory"):
        Partial(tmp_path, "a", "0" * 64, 10)
    assert os.listdir("/proc/self/fd") == before
    log.rmdir()
    second = Partial(tmp_path, "a", "0" * 64, 10)
    assert second.path == first.path
    second.close()


def test_what_nobody_goes_on_with_is_forgotten_by_the_next_pull_that_ends(
    registry: Registry, target: str, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("x")
    registry.push([tmp_path / "x"], target)
    out = tmp_path / "out"
    old, held, young = (Partial(_made(out), name, "0" * 64, 10) for name in ("old", "held", "young"))
    old.close()
    young.close()
    for partial in (old, held):
        os.utime(partial.path, (time.time() - KEPT_SECONDS - 60,) * 2)
    registry.pull(target, out, options=PullOptions(dry_run=True))
    assert old.path.exists()
    registry.pull(target, out)
    assert {path.name for path in (out / ".myd").glob("*.part")} == {held.path.name, young.path.name}
    held.close()
    os.utime(young.path, (0, 0))
    registry.pull(target, out)
    assert os.listdir(out) == ["x"]


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def test_a_file_that_becomes_shorter_while_it_is_hashed_is_told(partial: Partial) -> None:
    follower = Follower(partial, len(CONTENT), Stop())
    os.ftruncate(partial.descriptor, 10)
    follower.add((0, len(CONTENT)))
    with pytest.raises(ClientError, match="shorter than it was"):
        follower.hexdigest()
