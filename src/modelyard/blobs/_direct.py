"""Pages of a large file that go to the disk past the page cache, by other threads, while the next ones are hashed.

Through the cache each byte is copied once more, and memory for it must be found: one core received, hashed and kept
955 MiB/s of an upload that way and 1 390 this way (`bench --rows put-raw`; 0.51 of 0.72 CPU s/GiB are the hash). The
first bytes of a file, and with them small files, stay in the cache, from which a model is often read right away.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from concurrent.futures import Executor, Future, wait
from pathlib import Path

from modelyard.blobs._posix import start_writeback, write_all
from modelyard.pages import PAGE_BYTES, lies_like

FROM_BYTES = 8 << 20  # of a file, from which on it goes past the cache
LEAST_BYTES = 1 << 20  # at once; with less the waiting costs more than the copy
IN_FLIGHT = 2  # writes of one file: with one, the disk waits whenever the processor does

_O_DIRECT: int = getattr(os, "O_DIRECT", 0)  # Linux has it, macOS has not
_NOTHING = memoryview(b"")


class DirectFile:
    """The same file as `cached`, open once more for whole pages; where the system has no such way, all goes by it."""

    def __init__(self, path: Path, cached: int, executor: Executor | None) -> None:
        self._path = path
        self._cached = cached
        self._executor = executor if _O_DIRECT else None
        self._descriptor: int | None = None
        self._in_flight: deque[Future[int]] = deque()

    def split(self, chunk: memoryview, offset: int) -> tuple[memoryview, memoryview, memoryview]:
        """What comes before the pages that `write` takes, these pages, and what comes after them."""
        before = max(-offset % PAGE_BYTES, FROM_BYTES - offset)
        after = before + max(0, len(chunk) - before) // PAGE_BYTES * PAGE_BYTES
        if self._executor is None or after - before < LEAST_BYTES or not lies_like(chunk, offset):
            return chunk, _NOTHING, _NOTHING
        return chunk[:before], chunk[before:after], chunk[after:]

    def write(self, pages: memoryview, offset: int) -> None:
        """Write pages soon; they must not change before `land`. Raises what an earlier write of the file did."""
        while len(self._in_flight) >= IN_FLIGHT:
            self._in_flight[0].result()
            self._in_flight.popleft()
        if self._descriptor is None:
            self._open(offset)
        if (descriptor := self._descriptor) is None or self._executor is None:
            write_all(self._cached, [pages], offset)
        else:
            self._in_flight.append(self._executor.submit(self._write, descriptor, pages, offset))

    def land(self) -> None:
        """Return when all is written; it is not durable yet. Raises OSError."""
        while self._in_flight:
            self._in_flight[0].result()
            self._in_flight.popleft()

    def close(self) -> None:
        """Close the file once nobody writes to it any more; never raises."""
        wait(self._in_flight)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, offset: int) -> None:
        start_writeback(self._cached, 0, offset)  # what lies before must be on the disk in the end as well
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | _O_DIRECT)
        except OSError as error:
            self._give_up(error)

    def _write(self, descriptor: int, pages: memoryview, offset: int) -> int:
        try:
            return write_all(descriptor, [pages], offset)
        except OSError as error:
            self._give_up(error)
            return write_all(self._cached, [pages], offset)

    def _give_up(self, error: OSError) -> None:
        """Go by the cache from now on, where the file system wants it so; else raise the error."""
        if error.errno != errno.EINVAL:
            raise error
        self._executor = None
