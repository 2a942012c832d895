"""Bytes on their way to the disk before a file ends: what is left to wait for then is little, and waited for in pieces.

Linux is told to begin as they are written (sync_file_range(2)); elsewhere all of it is left to fsync.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from modelyard_client.stopping import Stop

EARLY_BYTES = 64 << 20  # which a file has at least for that
WAIT_BYTES = 32 << 20  # of which even a slow disk takes as many as let Ctrl-C end the command within a second
_BEFORE, _WRITE, _AFTER = 1, 2, 4  # SYNC_FILE_RANGE_WAIT_BEFORE and so on
_UNKNOWN = frozenset({errno.ENOSYS, errno.EINVAL, errno.ESPIPE, errno.EOPNOTSUPP})  # to a kernel, or a file system

SyncFileRange = Callable[[int, int, int, int], int]


class Flushing:
    """A file of `size` bytes that is written from many threads."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._sync = _sync_file_range() if size >= EARLY_BYTES else None

    def begin(self, begin: int, end: int) -> None:
        """Have what was written from one place to another be on its way. Whether it arrives, `end` tells."""
        if self._sync is not None:
            self._sync(self._descriptor, begin, end - begin, _WRITE)

    def end(self, stop: Stop) -> None:
        """Return once all is on the disk. Raises Interrupted, and OSError as fsync does."""
        for at in range(0, self._size if self._sync is not None else 0, WAIT_BYTES):
            stop.check()
            self._wait(at)
        os.fsync(self._descriptor)

    def _wait(self, at: int) -> None:
        from ctypes import get_errno  # noqa: PLC0415 - as below

        assert self._sync is not None  # noqa: S101 - see `end`
        if self._sync(self._descriptor, at, WAIT_BYTES, _BEFORE | _WRITE | _AFTER):
            number = get_errno()
            if number not in _UNKNOWN:  # the kernel tells of a failed write once: fsync would not
                raise OSError(number, os.strerror(number))


def _sync_file_range() -> SyncFileRange | None:
    """The C library's function; None where it has none."""
    if sys.platform != "linux":  # pragma: no cover - no server runs there
        return None
    import ctypes  # noqa: PLC0415 - only large files need it

    function = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
    if function is None:  # pragma: no cover - glibc and musl have it
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function  # type: ignore[no-any-return] # as it was just described
