"""Taking all room of a small disk, and giving it back; what SQLite says of a disk."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from itertools import count
from pathlib import Path


def fill(disk: Path) -> None:
    """Leave no room for a byte, but for what is there already."""
    with (disk / "others").open("ab", buffering=0) as file:
        size = 1 << 20
        while size:
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
            size //= 2


def fill_names(disk: Path) -> None:
    """Leave no room for a file, though there is room for bytes."""
    with suppress(OSError):
        for number in count():
            os.close(os.open(disk / f"other-{number}", os.O_WRONLY | os.O_CREAT))


def make_room(disk: Path) -> None:
    """Remove what `fill` and `fill_names` have left."""
    for each in disk.glob("other*"):
        each.unlink()


def sqlite_error(code: int, message: str = "disk I/O error") -> sqlite3.OperationalError:
    """An error as SQLite raises it, which alone sets the code."""
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error
