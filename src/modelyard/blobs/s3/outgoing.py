"""Bytes between a bucket's answer and a client's socket: in a pipe where both are bare sockets, else in memory.

By a pipe they stay where the kernel has received them (splice(2)). On a quiet machine a GiB from moto cost 0.26 s of
CPU that way and 0.33 by memory that stays in the processor's cache, with TCP by reno, and by bbr 0.49 and 0.56, as less
comes at a time; bare loops, on a busy one, 0.1 and 0.2 to 0.3.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from mmap import mmap

from modelyard.blobs.s3.answers import Stream

BLOCK_BYTES = 1 << 20
# What one splice may take: a user who is not root gets 64 MiB of them, and smaller ones from then on.
PIPE_BYTES = 256 << 10


class Outgoing:
    """What was taken from a stream, until a socket has taken it; for one thread at a time."""

    def __init__(self) -> None:
        self._begin = 0
        self._data = memoryview(b"")
        self._block: mmap | None = None
        self._piped = 0
        self._pipe: tuple[int, int] | None = None  # to read from, and to write to

    def begins_at(self, offset: int) -> bool:
        """Whether there are bytes, of which the first is at that offset of the blob."""
        return self._begin == offset and bool(self._piped or self._data)

    def hold(self, offset: int, data: memoryview) -> None:
        """Keep bytes that begin at an offset, in place of what was there."""
        self._drop()
        self._begin, self._data = offset, data

    def fill(self, offset: int, stream: Stream, length: int) -> int:
        """Take up to `length` bytes, at least one, of a stream that has come to the offset: how many; 0 at its end."""
        self.hold(offset, memoryview(b""))
        if stream.splices and (pipe := self._open_pipe()) is not None:
            self._piped = stream.splice(pipe, min(length, BLOCK_BYTES))
            return self._piped
        if self._block is None:
            self._block = mmap(-1, BLOCK_BYTES)
        room = memoryview(self._block)[:length]
        self._data = room[: stream.read_into(room)]
        return len(self._data)

    def send(self, socket: int, length: int) -> int:
        """Send up to `length` bytes, and return how many went. Raises BlockingIOError and any other OSError."""
        if self._piped and self._pipe is not None:
            went = os.splice(self._pipe[0], socket, min(length, self._piped), flags=os.SPLICE_F_NONBLOCK)
            self._piped -= went
        else:
            went = os.write(socket, self._data[:length]) if self._data else 0
            self._data = self._data[went:]
        self._begin += went
        return went

    def close(self) -> None:
        """Give back what the bytes lie in."""
        self._close_pipe()
        self._data, self._block = memoryview(b""), None

    def _drop(self) -> None:
        if self._piped:
            self._close_pipe()  # with what is in it

    def _open_pipe(self) -> int | None:
        """Where to write to; None where no descriptor is left."""
        if self._pipe is None:
            with suppress(OSError):
                self._pipe = os.pipe()
                _enlarge(self._pipe[1])
        return self._pipe and self._pipe[1]

    def _close_pipe(self) -> None:
        pipe, self._pipe, self._piped = self._pipe, None, 0
        for descriptor in pipe or ():
            os.close(descriptor)


def _enlarge(pipe: int) -> None:
    """Give a pipe more room, as far as this user may have that."""
    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
