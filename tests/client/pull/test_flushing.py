"""What is on its way to the disk while more comes."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from modelyard_client.errors import Interrupted
from modelyard_client.pull import flushing
from modelyard_client.pull.flushing import EARLY_BYTES, WAIT_BYTES, Flushing
from modelyard_client.stopping import Stop

Call = tuple[int, int, int]  # offset, bytes, flags


class Kernel:
    """Takes note of what it is told to write, and answers with an error where there is one."""

    def __init__(self, error: int = 0) -> None:
        self.calls: list[Call] = []
        self._error = error

    def __call__(self, _descriptor: int, offset: int, count: int, flags: int) -> int:
        self.calls.append((offset, count, flags))
        ctypes.set_errno(self._error)
        return -1 if self._error else 0


@pytest.fixture
def descriptor(tmp_path: Path) -> int:
    return os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)


def told(monkeypatch: pytest.MonkeyPatch, error: int = 0) -> Kernel:
    kernel = Kernel(error)
    monkeypatch.setattr(flushing, "_sync_file_range", lambda: kernel)
    return kernel


def test_a_large_file_is_written_as_it_comes_and_waited_for_in_pieces(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = told(monkeypatch)
    file = Flushing(descriptor, EARLY_BYTES + 1)
    file.begin(5, 7)
    assert kernel.calls == [(5, 2, 2)]
    file.end(Stop())
    assert kernel.calls[1:] == [(at, WAIT_BYTES, 7) for at in (0, WAIT_BYTES, 2 * WAIT_BYTES)]


def test_the_real_kernel_takes_it(descriptor: int) -> None:
    os.ftruncate(descriptor, EARLY_BYTES)
    os.pwrite(descriptor, b"x" * 10_000, 100)
    file = Flushing(descriptor, EARLY_BYTES)
    file.begin(100, 10_100)
    file.end(Stop())
    assert os.pread(descriptor, 10_000, 100) == b"x" * 10_000


def test_a_small_one_is_left_to_fsync(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = told(monkeypatch)
    file = Flushing(descriptor, EARLY_BYTES - 1)
    file.begin(0, 9)
    file.end(Stop())
    assert kernel.calls == []


def test_a_stop_ends_the_wait(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, stop = told(monkeypatch), Stop()
    file = Flushing(descriptor, EARLY_BYTES)
    stop.set()
    with pytest.raises(Interrupted):
        file.end(stop)
    assert kernel.calls == []


def test_a_write_that_failed_is_told_and_what_is_not_known_is_left_to_fsync(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, errno.ENOSYS)
    Flushing(descriptor, EARLY_BYTES).end(Stop())
    told(monkeypatch, errno.ENOSPC)
    with pytest.raises(OSError, match="No space left") as caught:
        Flushing(descriptor, EARLY_BYTES).end(Stop())
    assert caught.value.errno == errno.ENOSPC
