"""Files of random bytes to send and to fetch."""

from __future__ import annotations

import os
from pathlib import Path

from bench.metrics import MIB

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
