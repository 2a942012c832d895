"""Files of random bytes to send and to fetch."""

from __future__ import annotations

import os
from pathlib import Path

from bench.metrics import MIB

LARGE = 1 << 20  # bytes from which a file's share of the page cache matters
STAMP = 16  # bytes at the beginning that make each upload's content its own
SMALL = 1024  # bytes of a small file


def payload(folder: Path, mib: int) -> Path:
    """A file of `mib` MiB, made once."""
    path = folder / f"random-{mib}-mib"
    if not path.exists() or path.stat().st_size != mib * MIB:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(MIB))
    return path


def small_payload(folder: Path) -> Path:
    """A file of 1 KiB."""
    path = folder / "random-1-kib"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SMALL))
    return path


def stamp(path: Path) -> None:
    """Make the content new, so that no server finds that it has it already."""
    with path.open("r+b") as file:
        file.write(os.urandom(STAMP))


def forget(folder: Path) -> None:
    """Give back the memory that holds large files under a folder.

    The next upload then uses that memory again. Without it, a virtual machine may have to ask its host for every page,
    which was measured to make the same write cost from 0.3 to 4 CPU seconds a GiB. What is not on the disk yet goes
    there first: else whoever comes next shares the disk with an upload that was answered before it was written.
    """
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size >= LARGE:
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
