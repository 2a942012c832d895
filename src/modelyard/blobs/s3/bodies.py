"""Bodies of requests that are sent as they lie in memory, piece by piece, without being joined."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from modelyard.blobs.store import Buffer

GATHERED_BYTES = 128 << 10  # smaller pieces are joined: a system call for each is dear, and it may hold a large block


class Body:
    """Pieces that make one body: a file, as far as botocore and urllib3 look at one.

    A `read` gives the next piece whole, whatever it is asked for: urllib3 would cut a file into 16 KiB.

    `signed`: it is hashed for its request's signature. `request`: botocore's last one that had this body.
    """

    signed = True
    request: Any = None

    def __init__(self, content: Buffer = b"") -> None:
        self._pieces: list[Buffer] = []
        self._size = self._next = self._position = 0
        if content:
            self.append(memoryview(content))

    def append(self, piece: memoryview) -> None:
        """Add bytes at the end. A large piece is kept, and must not change."""
        self._size += len(piece)
        last = self._pieces[-1] if self._pieces else None
        if len(piece) >= GATHERED_BYTES:
            self._pieces.append(piece)
        elif isinstance(last, bytearray):
            last += piece
        else:
            self._pieces.append(bytearray(piece))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Buffer]:
        return iter(self._pieces)

    def read(self, _size: int = -1) -> Buffer:
        """The next piece; nothing at the end."""
        if self._next == len(self._pieces):
            return b""
        piece = self._pieces[self._next]
        self._next, self._position = self._next + 1, self._position + len(piece)
        return piece

    def tell(self) -> int:
        """Bytes that were read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to the beginning or the end, which is all that a repeated request needs. Raises ValueError elsewhere."""
        wanted = offset + (self._size if whence == io.SEEK_END else 0)
        if wanted not in (0, self._size):
            raise ValueError(f"a body is read from its beginning, not from {wanted} on")
        self._next, self._position = (len(self._pieces), wanted) if wanted else (0, 0)
        return wanted
