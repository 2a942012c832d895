"""Files and folders that outlive a power failure."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from modelyard.naming import naming

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # disk, quota, largest file

DIRECTORY_MODE = 0o700


def fsync_directory(path: Path) -> None:
    """Make the entries of a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Make the bytes of a file durable, though not its name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Create a directory unless it is there, and make its entry in its parent durable.

    The parent is synced also when the directory was there: another writer may have made it and not synced it yet.
    """
    with suppress(FileExistsError):
        os.mkdir(path, DIRECTORY_MODE)
    fsync_directory(path.parent)


def make_directories(path: Path) -> None:
    """Create an absolute path's directory with its missing parents, each one durable."""
    if not path.is_dir():
        make_directories(path.parent)
        make_directory(path)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file anew, all at once: whoever reads it finds the old content or the new one, and never less."""
    new = path.with_name(f"{path.name}.new")
    with naming(new):
        new.write_bytes(content)
    fsync_file(new)
    new.replace(path)
    fsync_directory(path.parent)
