"""Pages of a large file that go to the disk past the page cache, by other threads, while the next ones are hashed.

Through the cache each byte is copied once more, and memory for it must be found: one core received, hashed and kept
955 MiB/s of an upload that way, and 1 290 to 1 360 this way, at 0.75 instead of 1.01 CPU s/GiB. Sixteen uploads beside
sixteen downloads moved 1 170 MiB/s instead of 560, where the host of a virtual machine had to provide the cache's
memory. The first download then comes from the disk, at 2.2 instead of 3.2 GiB/s there, and takes back what the upload
has won; but what is being uploaded does not drive out of memory what is being served. The first bytes of a file, and
with them small files, stay in it.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from pathlib import Path

from modelyard.blobs._posix import start_writeback, write_all
from modelyard.memory_pages import PAGE_BYTES, lies_like

FROM_BYTES = 8 << 20  # of a file, from which on it goes past the cache; of whole pages
LEAST_BYTES = 128 << 10  # at once; a slow client's smaller blocks are better joined in the cache
IN_FLIGHT = 2  # writes of one file: with one, the disk waits whenever the processor does

_O_DIRECT: int = getattr(os, "O_DIRECT", 0)  # Linux has it, macOS has not
_NOT_SO = frozenset({errno.EINVAL, errno.EOPNOTSUPP})
_NOTHING = memoryview(b"")


class DirectFile:
    """A file that is open for writing, as `cached`, and is opened once more for whole pages.

    Where the system has no such way, or no thread to spare, all goes by `cached`.
    """

    def __init__(self, path: Path, cached: int, executor: Executor | None) -> None:
        self._path = path
        self._cached = cached
        self._executor = executor if _O_DIRECT else None
        self._descriptor: int | None = None
        self._in_flight: deque[Future[None]] = deque()
        self._lock = threading.Lock()  # held by each write, and by what closes the file

    def split(self, chunk: memoryview, offset: int) -> tuple[memoryview, memoryview, memoryview]:
        """What comes before the pages that `write` takes, these pages, and what comes after them."""
        before = max(-offset % PAGE_BYTES, FROM_BYTES - offset)
        after = before + max(0, len(chunk) - before) // PAGE_BYTES * PAGE_BYTES
        if self._executor is None or after - before < LEAST_BYTES or not lies_like(chunk, offset):
            return chunk, _NOTHING, _NOTHING
        return chunk[:before], chunk[before:after], chunk[after:]

    def write(self, pages: memoryview, offset: int) -> None:
        """Write pages soon; they must not change before `land`. Raises what an earlier write of the file did."""
        self._land(IN_FLIGHT - 1)
        if self._descriptor is None:
            self._open(offset)
        executor = self._executor
        if executor is not None:
            try:
                self._in_flight.append(executor.submit(self._write, pages, offset))
                return
            except RuntimeError:  # No thread can be started; it may be done later all the same, and changes nothing.
                self._executor = None
        write_all(self._cached, [pages], offset)

    def land(self) -> None:
        """Return when all is written; it is not durable yet. Raises OSError."""
        self._land(0)

    def close(self) -> None:
        """Close the file once nobody writes to it any more; never raises."""
        wait(self._in_flight)
        with self._lock, suppress(OSError):
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)

    def _land(self, most: int) -> None:
        while len(self._in_flight) > most:
            self._in_flight[0].result()
            self._in_flight.popleft()

    def _open(self, offset: int) -> None:
        start_writeback(self._cached, 0, offset)  # what lies before must be on the disk in the end as well
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | _O_DIRECT)
        except OSError:  # of whatever kind: what is truly wrong with the file, a write by the cache will tell
            self._executor = None

    def _write(self, pages: memoryview, offset: int) -> None:
        with self._lock:
            if self._descriptor is None:
                return  # Closed: the number may be another file's by now.
            try:
                write_all(self._descriptor, [pages], offset)
            except OSError as error:
                if error.errno not in _NOT_SO:
                    raise
                self._executor = None
                write_all(self._cached, [pages], offset)
