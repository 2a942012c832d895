"""Locks beside SQLite's file, each on a file of its own: closing the database's would let go of SQLite's own locks.

A lock ends with its process, however that ends. The files stay.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.naming import naming
from modelyard.private import open_private


class LockFile:
    """An open file that can be locked."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def try_lock(self, *, shared: bool = False) -> bool:
        """Whether it is locked from now on, and not held by another process in a way that excludes that."""
        try:
            with naming(self._path):
                fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def lock_file(database: Path, work: str) -> Iterator[LockFile]:
    """The file that stands for some work on a database, made where it is missing. Raises OSError."""
    path = Path(f"{database}.{work}-lock")
    descriptor = open_private(path, beside=database)
    try:
        yield LockFile(path, descriptor)
    finally:
        os.close(descriptor)
