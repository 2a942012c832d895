"""A file on this disk: what tells whether it was changed, and its bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from modelyard_client.errors import ClientError, FileChanged, NoRoom, NotFound
from modelyard_client.stopping import Stop

READ_BYTES = 256 * 1024  # which the caches of processors hold from one use to the next
SETTLED_SECONDS = 0.1  # a file system's clock may tick that seldom
FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG})
COARSE_SECONDS = 2.0  # FAT's, which tells no parts of a second


class Fingerprint(NamedTuple):
    """What is another one after a change. Whoever sets the time of change back cannot do so with `ctime_ns`."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """That of a file as it was looked at."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)

    @property
    def is_settled(self) -> bool:
        """Whether a change from now on would show: it is old enough for the clock of the file system."""
        changed_at = max(self.mtime_ns, self.ctime_ns)
        grain = SETTLED_SECONDS if changed_at % 10**9 else COARSE_SECONDS
        return time.time_ns() - changed_at > grain * 10**9

    def as_list(self) -> list[int]:
        """For a file of state."""
        return list(self)


class LocalFile(NamedTuple):
    """A file that is to be sent, and the name that it gets; as it was when it was found."""

    name: str
    path: Path
    fingerprint: Fingerprint

    @property
    def size(self) -> int:
        """Bytes."""
        return self.fingerprint.size

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Its descriptor, to read by position. Raises NotFound, FileChanged and ClientError."""
        with local_errors(self.path):
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        try:
            self.require_unchanged(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)

    def require_unchanged(self, descriptor: int) -> None:
        """Raise FileChanged where it is not as it was found, or another has taken its place."""
        with local_errors(self.path):
            same = Fingerprint.of(os.fstat(descriptor)) == self.fingerprint
            same = same and Fingerprint.of(self.path.stat()) == self.fingerprint
        if not same:
            raise FileChanged(f"{self.path} was changed meanwhile, and is not sent")

    def pieces(self, descriptor: int, begin: int, end: int, stop: Stop) -> Iterator[memoryview]:
        """Its bytes from one place to another, each piece until the next one is asked for.

        Raises FileChanged where it is shorter now.
        """
        buffer = memoryview(
            bytearray(min(READ_BYTES, end - begin))
        )  # one for all: to get new memory for each costs more than to read
        while begin < end:
            stop.check()
            with local_errors(self.path):
                count = preadv(descriptor, [buffer[: end - begin]], begin)
            if not count:
                raise FileChanged(f"{self.path} was changed meanwhile: it is shorter now")
            begin += count
            yield buffer[:count]

    def content(self, stop: Stop) -> bytes:
        """All of its bytes. Raises FileChanged for a file that is changed meanwhile."""
        with self.opened() as descriptor:
            content = bytearray()
            for piece in self.pieces(descriptor, 0, self.size, stop):
                content += piece
            self.require_unchanged(descriptor)
        return bytes(content)

    def sha256(self, stop: Stop, tell: Callable[[int], object]) -> str:
        """In hex; `tell` is told of bytes as they are read. Raises FileChanged for a file that is changed meanwhile."""
        hasher = hashlib.sha256()
        with self.opened() as descriptor:
            for piece in self.pieces(descriptor, 0, self.size, stop):
                hasher.update(piece)
                tell(len(piece))
            self.require_unchanged(descriptor)
        return hasher.hexdigest()


@contextmanager
def local_errors(path: Path) -> Iterator[None]:
    """A block whose OSErrors are said as the client's."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"{path} is not there") from error
    except OSError as error:
        raise error_of(path, error) from error


def error_of(path: Path | str, error: OSError) -> ClientError:
    """What an OSError is to the client."""
    return (NoRoom if error.errno in FULL else ClientError)(f"{path}: {error.strerror or error}")


if sys.platform == "win32":  # pragma: no cover - no server runs there
    _place = threading.Lock()

    def preadv(descriptor: int, buffers: list[memoryview], offset: int, /) -> int:
        """Read at a place, into the first buffer."""
        with _place:
            os.lseek(descriptor, offset, os.SEEK_SET)
            content = os.read(descriptor, len(buffers[0]))
        buffers[0][: len(content)] = content
        return len(content)

    def pwrite(descriptor: int, content: bytes | memoryview, offset: int, /) -> int:
        """Write at a place."""
        with _place:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.write(descriptor, content)
else:
    preadv, pwrite = os.preadv, os.pwrite
