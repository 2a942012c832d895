"""What is there of a file, and the thread that hashes it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard_client.errors import ClientError
from modelyard_client.pull.following import Follower
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
    assert partial.pieces(Stop()) == [(0, 20), (50, 60)]
    assert partial.pieces(Stop()) == [(0, 20), (50, 60)]


def test_marks_are_kept_beside_pieces_and_what_is_none_is_not_believed(partial: Partial) -> None:
    partial.mark(30, SHA256)
    noted(partial, 50, 60)
    partial.mark(10, SHA256)
    with partial.path.with_suffix(".log").open("ab") as log:
        log.write(f"x {SHA256}\n20 abc\n101 {SHA256}\n40 {SHA256}".encode())
    for _ in range(2):
        assert partial.marks() == [(10, SHA256), (30, SHA256)]
        assert partial.pieces(Stop()) == [(50, 60)]


def test_a_file_that_becomes_shorter_while_it_is_hashed_is_told(partial: Partial) -> None:
    follower = Follower(partial, len(CONTENT), Stop())
    os.ftruncate(partial.descriptor, 10)
    follower.add((0, len(CONTENT)))
    with pytest.raises(ClientError, match="shorter than it was"):
        follower.hexdigest()
