"""Files that are being written. A lock on the file, which ends with its process, tells who still owns one."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from modelyard.disk.naming import add_path
from modelyard.disk.private import create_private

_NAME = re.compile(r"[0-9a-f]{32}")


def is_incoming_name(name: str) -> bool:
    """Whether `name` is one that `IncomingFile.create` may have given."""
    return _NAME.fullmatch(name) is not None


class IncomingFile:
    """A new file under a random name that is never used again, locked until it is released."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path

    @classmethod
    def create(cls, directory: Path) -> Self:
        """Create and lock a file in `directory`. Raises OSError, and then leaves nothing."""
        while True:
            path = directory / secrets.token_hex(16)
            descriptor = create_private(path)
            file = cls(descriptor, path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # A collector may have taken the file for abandoned before it was locked.
                if os.fstat(descriptor).st_nlink:
                    return file
            except BaseException as error:
                file.release()
                if isinstance(error, OSError):
                    add_path(error, path)
                raise
            file.release()

    def release(self) -> None:
        """Remove the file if it still has its first name, and let go of it. Never raises.

        A file that cannot be removed is from now on abandoned, hence a collector's task.
        """
        with suppress(OSError):
            self.path.unlink()
        with suppress(OSError):
            os.close(self.descriptor)


@contextmanager
def abandoned(path: Path) -> Iterator[os.stat_result | None]:
    """Own, for the length of a `with`, a file that nobody owns; gives None where somebody does or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield _lock(descriptor, path)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> os.stat_result | None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its owner may have renamed it, or another collector removed it, since it was opened.
        return path.stat()
    except (BlockingIOError, FileNotFoundError):
        return None
