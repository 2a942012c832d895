"""One file on its way down: in ranges, by several threads; whoever brings the last one holds it against its SHA-256."""

from __future__ import annotations

import functools
import hashlib
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard_client.collecting import Work
from modelyard_client.errors import ClientError, Mismatch
from modelyard_client.local.files import local_errors
from modelyard_client.progress import Progress
from modelyard_client.pull.following import Follower
from modelyard_client.pull.partials import NOTED_BYTES, Partial, Piece, missing
from modelyard_client.pull.ranges import Ranges
from modelyard_client.pull.streaming import LEAST_BYTES, Stream
from modelyard_client.results import Moved, RemoteFile

SMALL_BYTES = 4 << 20  # which are held in memory
LEAST_RANGE, MOST_RANGE = 8 << 20, 64 << 20


class Fetch:
    """A file that is large enough to be worth going on with."""

    def __init__(self, ranges: Ranges, folder: Path, target: Path, file: RemoteFile, progress: Progress) -> None:
        self.file = file
        self._ranges = ranges
        self._folder = folder
        self._target = target
        self._progress = progress
        self._lock = threading.Lock()
        self._received = 0
        self._left = 0
        self._failed = False
        self._active = 0  # threads that are at it
        self._partial: Partial | None = None
        self._follower: Follower | None = None

    def plan(self, jobs: int) -> Moved | list[Work] | None:
        """Bring the file in its order where the line is fast, else say what is missing. Raises ClientError."""
        with self._at_work():
            stop = self._ranges.transport.stop
            self._partial = partial = Partial(self._folder, self.file.path, self.file.sha256, self.file.size)
            there = partial.pieces(stop, self._progress.compared)
            if there or self.file.size < LEAST_BYTES:
                self._going_on(sum(end - begin for begin, end in there))
                return self._split(partial, there, jobs)
            stream = Stream(self._ranges, partial, self.file, self._progress)
            self._going_on(stream.resume())
            if jobs == 1 or stream.try_line():
                return self._published(partial, stream.rest(), stream.received)
            self._received = stream.received
            return self._split(partial, stream.noted(), jobs)
        return None

    def _split(self, partial: Partial, there: list[Piece], jobs: int) -> list[Work]:
        """What is missing, in ranges no larger than lets all connections work."""
        self._follower = Follower(partial, self.file.size, self._ranges.transport.stop)
        for piece in there:
            self._follower.add(piece)
        step = min(MOST_RANGE, max(LEAST_RANGE, -(-self.file.size // (2 * jobs))))
        gaps = missing(there, self.file.size)
        ranges = [(at, min(at + step, end)) for begin, end in gaps for at in range(begin, end, step)] or [(0, 0)]
        self._left = len(ranges)
        return [Work(self.file.path, functools.partial(self.fetch, *each)) for each in ranges]

    def fetch(self, begin: int, end: int) -> Moved | None:
        """Bring a range; the answer is what became of the file, with its last range.

        Raises ClientError, once for a file.
        """
        with self._at_work():
            if self._failed:
                return None
            if begin < end:
                self._bring(begin, end)
            with self._lock:
                self._left -= 1
                last = not self._left
            return self._finished() if last else None
        return None

    def leave(self) -> None:
        """Begin nothing more of it, and let others go on with what is there."""
        with self._lock:
            self._failed = True
        self._close_if_over()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """A block in which the file stays open. What one raises is raised, what others do after it is not."""
        with self._lock:
            self._active += 1
        try:
            yield
        except BaseException:
            with self._lock:
                first, self._failed = not self._failed, True
            if first:
                raise
        finally:
            with self._lock:
                self._active -= 1
            self._close_if_over()

    def _going_on(self, spared: int) -> None:
        if spared:
            self._progress.spared(spared)
            self._progress.noted(f"{self.file.path}: going on with {spared} of {self.file.size} bytes")

    def _close_if_over(self) -> None:
        with self._lock:
            if self._active or self._partial is None or not (self._failed or not self._left):
                return
            partial, self._partial = self._partial, None
        if self._follower is not None:
            self._follower.give_up()
        partial.close()

    def _bring(self, begin: int, end: int) -> None:
        partial, follower = self._opened()
        at, checksum = begin, 0

        def note() -> None:
            partial.note(begin, at, checksum)
            follower.add((begin, at))
            with self._lock:
                self._received += at - begin

        try:
            for content in self._ranges.read(self.file, begin, end):
                partial.write(content, at)
                at, checksum = at + len(content), zlib.crc32(content, checksum)
                self._progress.moved(len(content))
                if at - begin >= NOTED_BYTES:
                    note()
                    begin, checksum = at, 0
        finally:
            if begin < at:
                note()

    def _finished(self) -> Moved:
        partial, follower = self._opened()
        follower.end()
        return self._published(partial, follower.hexdigest(), self._received)

    def _published(self, partial: Partial, sha256: str, received: int) -> Moved:
        if sha256 != self.file.sha256:
            partial.clear()
            raise Mismatch(f"{self.file.path} came as {sha256}, and is {self.file.sha256}: nothing of it is kept")
        partial.publish(self._target, self._ranges.transport.stop)
        return Moved(self.file.path, self.file.size, sha256, "received", received)

    def _opened(self) -> tuple[Partial, Follower]:
        assert self._partial is not None and self._follower is not None  # noqa: PT018, S101 - ranges come of `plan`
        return self._partial, self._follower


class SmallFetch:
    """Brings files that fit in memory."""

    def __init__(self, ranges: Ranges, progress: Progress) -> None:
        self.ranges = ranges
        self.progress = progress

    def fetch(self, file: RemoteFile, target: Path) -> Moved:
        """Bring a file. Raises ClientError."""
        content = b"".join(self.ranges.read(file, 0, file.size)) if file.size else b""
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != file.sha256:
            raise Mismatch(f"{file.path} came as {sha256}, and is {file.sha256}: nothing of it is kept")
        self.progress.moved(len(content))
        beside = target.with_name(f".{sha256[:16]}.{threading.get_ident()}.myd")
        try:
            with local_errors(target):
                beside.write_bytes(content)
                beside.replace(target)
        except ClientError:
            beside.unlink(missing_ok=True)
            raise
        return Moved(file.path, file.size, sha256, "received", len(content))
