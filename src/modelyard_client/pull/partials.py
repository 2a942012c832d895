"""A file while it comes down: its bytes, and a log of the pieces that are there, each with a CRC-32.

What is in the log was written before; whether it has reached the disk is not asked, as every piece is read again and
held against the log when a later process goes on. The target appears once its SHA-256 is right.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from modelyard_client.errors import ClientError
from modelyard_client.local.files import READ_BYTES, local_errors, preadv, pwrite
from modelyard_client.local.locking import Lock
from modelyard_client.local.places import PARTIALS
from modelyard_client.pull.flushing import Flushing
from modelyard_client.stopping import Stop

FIELDS = ("begin", "end", "crc32")  # of a line in the log
MARK_FIELDS = ("end", "sha256")  # of one that tells what comes from the beginning up to there
NOTED_BYTES = 1 << 20  # which a kill may cost each connection
SHA256_DIGITS = 64
BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

UMASK = os.umask(0o022)  # which is told only by setting another, before there are threads
os.umask(UMASK)

Piece = tuple[int, int]  # where it begins, and where it ends


class Partial:
    """The bytes of one file so far. Only one process goes on with what is there; others begin files of their own."""

    def __init__(self, folder: Path, name: str, sha256: str, size: int) -> None:
        self._folder = folder / PARTIALS
        self._size = size
        key = hashlib.sha256(f"{name}\n{sha256}".encode()).hexdigest()[:32]
        with local_errors(self._folder):
            self._folder.mkdir(exist_ok=True)
            self._lock = Lock(self._folder / f"{key}.lock")
            if not self._lock.take():
                key = f"{key}.{secrets.token_hex(4)}"
                self._lock = Lock(self._folder / f"{key}.lock")
                self._lock.take()
        self._key = key
        self.path, self._log_path = self._folder / f"{key}.part", self._folder / f"{key}.log"
        self.descriptor = self._log = -1
        try:
            self._open()
        except ClientError:
            self.close()
            raise
        self._flushing = Flushing(self.descriptor, size)

    def _open(self) -> None:
        with local_errors(self.path):
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | BINARY, 0o600)
            self._log = os.open(self._log_path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, 0o600)
            if os.fstat(self.descriptor).st_size != self._size:
                os.ftruncate(self._log, 0)
                os.ftruncate(self.descriptor, self._size)

    def pieces(self, stop: Stop, tell: Callable[[int], object]) -> list[Piece]:
        """What is there of it and as it was written, in order; anything else is forgotten; `tell`: of what is read."""
        good: list[tuple[int, int, int]] = []
        for begin, end, checksum in _without_overlaps(self._logged()):
            stop.check()
            if self._checksum(begin, end) == checksum:
                good.append((begin, end, checksum))
            tell(end - begin)
        with local_errors(self._log_path):
            marks = b"".join(f"{end} {digest}\n".encode() for end, digest in self.marks())
            os.ftruncate(self._log, 0)
            os.write(self._log, marks + b"".join(map(_line, good)))
        return _joined([(begin, end) for begin, end, _ in good])

    def marks(self) -> list[tuple[int, str]]:
        """Up to where all was there once, in order, each with its SHA-256."""
        with local_errors(self._log_path):
            lines = self._log_path.read_bytes().split(b"\n")[:-1]  # what has no end was cut by a kill
        fields = [line.split() for line in lines]
        found = {int(each[0]): each[1].decode() for each in fields if len(each) == len(MARK_FIELDS) and _is_mark(*each)}
        return sorted((end, digest) for end, digest in found.items() if end <= self._size)

    def mark(self, end: int, sha256: str, begin: int = 0) -> None:
        """All bytes up to one are there, those after `begin` since the last mark. Raises NoRoom and ClientError."""
        with local_errors(self._log_path):
            os.write(self._log, f"{end} {sha256}\n".encode())
        self._flushing.begin(begin, end)

    def read(self, begin: int, end: int, stop: Stop) -> Iterator[memoryview]:
        """Bytes that are there, each piece until the next one is asked for. Raises ClientError."""
        buffer = memoryview(bytearray(READ_BYTES))
        while begin < end:
            stop.check()
            with local_errors(self.path):
                count = preadv(self.descriptor, [buffer[: end - begin]], begin)
            if not count:
                raise ClientError(f"{self.path} is shorter than it was")
            yield buffer[:count]
            begin += count

    def write(self, content: bytes, begin: int) -> None:
        """Write bytes, which are there once they are noted. Raises NoRoom and ClientError."""
        with local_errors(self.path):
            view = memoryview(content)
            while view:
                count = pwrite(self.descriptor, view, begin)
                view, begin = view[count:], begin + count

    def note(self, begin: int, end: int, checksum: int) -> None:
        """What was written from one place to another is there. Raises NoRoom and ClientError."""
        with local_errors(self._log_path):
            os.write(self._log, _line((begin, end, checksum)))
        self._flushing.begin(begin, end)

    def clear(self) -> None:
        """Forget all that is there."""
        with local_errors(self._log_path):
            os.ftruncate(self._log, 0)

    def publish(self, target: Path, stop: Stop) -> None:
        """Make it the target, durably, in place of whatever was there. Raises NoRoom, Interrupted and ClientError."""
        with local_errors(target):
            self.path.chmod(0o666 & ~UMASK)
            self._flushing.end(stop)
            self.path.replace(target)
            _sync_folder(target.parent)
        self._log_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others go on with it."""
        for descriptor in (self.descriptor, self._log):
            with suppress(OSError):
                os.close(descriptor)
        with suppress(OSError):
            if not self.path.exists():
                self._folder.joinpath(f"{self._key}.lock").unlink()
        self._lock.release()
        with suppress(OSError):
            self._folder.rmdir()  # if it was the last

    def _checksum(self, begin: int, end: int) -> int:
        checksum, buffer = 0, memoryview(bytearray(READ_BYTES))
        with local_errors(self.path):
            while begin < end and (count := preadv(self.descriptor, [buffer[: end - begin]], begin)):
                checksum, begin = zlib.crc32(buffer[:count], checksum), begin + count
        return checksum

    def _logged(self) -> Iterator[tuple[int, int, int]]:
        with local_errors(self._log_path):
            lines = self._log_path.read_bytes().split(b"\n")
        for line in lines[:-1]:  # what has no end was cut by a kill
            fields = line.split()
            if all(field.isdigit() for field in fields) and len(fields) == len(FIELDS):
                begin, end, checksum = map(int, fields)
                if begin < end <= self._size:
                    yield begin, end, checksum


def _without_overlaps(pieces: Iterator[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Pieces in order; of those that overlap, the first one."""
    kept: list[tuple[int, int, int]] = []
    for piece in sorted(pieces):
        if not kept or kept[-1][1] <= piece[0]:
            kept.append(piece)
    return kept


def _joined(pieces: list[Piece]) -> list[Piece]:
    joined: list[Piece] = []
    for begin, end in pieces:
        if joined and joined[-1][1] == begin:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined


def missing(pieces: list[Piece], size: int) -> list[Piece]:
    """What is not among the pieces."""
    gaps, at = [], 0
    for begin, end in [*pieces, (size, size)]:
        if at < begin:
            gaps.append((at, begin))
        at = end
    return gaps


def _is_mark(end: bytes, sha256: bytes) -> bool:
    return end.isdigit() and len(sha256) == SHA256_DIGITS and sha256.isalnum()


def _line(piece: tuple[int, int, int]) -> bytes:
    return b"%d %d %d\n" % piece


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # pragma: no cover - it has no folders that are synced
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
