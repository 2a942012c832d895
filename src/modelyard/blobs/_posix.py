"""File operations that finish what one system call may leave half done, and the errors they raise."""

from __future__ import annotations

import ctypes
import errno
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from modelyard.blobs.store import BlobError, BlobMissing, BlobUnreadable, Digest, StoreFull, StoreUnavailable
from modelyard.disk.durable import NO_ROOM
from modelyard.disk.naming import add_path

COPY_STEP = 1 << 20
SENT_BYTES = 512 * 1024  # of a file at once, which the processor's cache holds

# POSIX promises 16 (_XOPEN_IOV_MAX); sysconf gives -1 where the system knows no limit.
IOV_MAX = max(os.sysconf("SC_IOV_MAX"), 16)

# Linux gives its file systems' EFSCORRUPTED and EFSBADCRC the last two numbers.
_OF_ONE_FILE = frozenset({errno.EIO, errno.EACCES, errno.EPERM, errno.EISDIR, errno.EUCLEAN, errno.EBADMSG})
_SYNC_FILE_RANGE_WRITE = 2


@contextmanager
def blob_errors(path: Path, reading: Digest | None = None) -> Iterator[None]:
    """Raise a BlobError for every OSError inside; BlobMissing and BlobUnreadable where one blob is being read.

    It names the path that the error has, or else `path`: what the calls inside are about.
    """
    try:
        yield
    except OSError as error:
        add_path(error, path)
        raise _translated(error, reading) from error


def _translated(error: OSError, reading: Digest | None) -> BlobError:
    if reading is not None and error.errno == errno.ENOENT:
        return BlobMissing(reading)
    if reading is not None and error.errno in _OF_ONE_FILE:
        return BlobUnreadable(f"blob {reading}: {error}")
    return StoreFull(str(error)) if error.errno in NO_ROOM else StoreUnavailable(str(error))


def write_all(descriptor: int, chunks: Sequence[memoryview], offset: int) -> int:
    """Write every byte of the chunks from `offset` on, and return how many that were."""
    pending = deque(chunk for chunk in chunks if chunk)
    total = 0
    while pending:
        written = os.pwritev(descriptor, list(islice(pending, IOV_MAX)), offset + total)
        total += written
        while pending and written >= len(pending[0]):
            written -= len(pending.popleft())
        if written:
            pending[0] = pending[0][written:]
    return total


def read_at(descriptor: int, offset: int, length: int) -> bytes:
    """The `length` bytes from `offset` on, fewer only where the file ends."""
    parts: list[bytes] = []
    while length and (part := os.pread(descriptor, length, offset)):
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return b"".join(parts)


def send_at(socket: int, descriptor: int, offset: int, length: int) -> int:
    """Send some of the `length` bytes from `offset` on to a socket, and return how many; 0 where the file ends.

    Raises BlockingIOError where the socket has no room. They are read first: what is in the processor's cache goes to
    whoever receives on this machine in half the time that sendfile(2) takes, which leaves him to fetch it.
    """
    return os.write(socket, os.pread(descriptor, min(length, SENT_BYTES), offset))


def copy_all(source: int, target: int) -> None:
    """Write the whole file `source` into the empty file `target`."""
    offset = 0
    while chunk := os.pread(source, COPY_STEP, offset):
        offset += write_all(target, [memoryview(chunk)], offset)


def find_writeback(name: str = "sync_file_range") -> Callable[[int, int, int, int], int] | None:
    """The C function `int name(int, off64_t, off64_t, unsigned)`, or None: only Linux has `sync_file_range`."""
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    try:
        return prototype((name, ctypes.CDLL(None)))
    except AttributeError:
        return None


_writeback = find_writeback()


def start_writeback(descriptor: int, offset: int, length: int) -> None:
    """Ask for the range to be written to disk soon, without waiting, so that the fsync at the end has little to do.

    Failure is ignored: a page that cannot be written makes the fsync fail.
    """
    if _writeback is not None:
        _writeback(descriptor, offset, length, _SYNC_FILE_RANGE_WRITE)
