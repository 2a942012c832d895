"""Locks beside SQLite's file, each on a file of its own: closing the database's would let go of SQLite's own locks.

A lock ends with its process, however that ends. The files stay.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.disk.durable import NO_ROOM
from modelyard.disk.naming import naming
from modelyard.disk.private import open_private


class LockFile:
    """A file that can be locked; without a descriptor, one that is not there and cannot be made."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor

    def try_lock(self, *, shared: bool = False) -> bool:
        """Whether it is locked from now on, and not held by another process in a way that excludes that.

        What nobody can make is held by nobody.
        """
        if self._descriptor is None:
            return True
        try:
            with naming(self._path):
                fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def lock_file(database: Path, work: str, *, on_full_disk: bool = False) -> Iterator[LockFile]:
    """The file that stands for some work on a database, made where it is missing. Raises OSError.

    `on_full_disk`: that there is no room for it is no error.
    """
    path = Path(f"{database}.{work}-lock")
    descriptor = None
    try:
        descriptor = open_private(path, beside=database)
    except OSError as error:
        if not on_full_disk or error.errno not in NO_ROOM:
            raise
    try:
        yield LockFile(path, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)
