"""The SHA-256 of a file while it is sent, which may have to go back: to where the server is after a cut."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from modelyard_client.local.files import LocalFile
from modelyard_client.stopping import Stop

MARK_BYTES = 64 << 20


class Hashing:
    """Goes with the bytes that are sent, and is remembered every `mark_bytes`."""

    def __init__(self, file: LocalFile, stop: Stop, *, mark_bytes: int = MARK_BYTES) -> None:
        self._mark_bytes = mark_bytes
        self._file = file
        self._stop = stop
        self._hasher = hashlib.sha256()
        self._at = 0
        self._marks = [(0, self._hasher.copy())]

    def update(self, piece: memoryview) -> None:
        """Take the next bytes."""
        self._hasher.update(piece)
        self._at += len(piece)
        if self._at - self._marks[-1][0] >= self._mark_bytes:
            self._marks.append((self._at, self._hasher.copy()))

    def go_to(self, offset: int, descriptor: int, tell: Callable[[int], object]) -> None:
        """Be where the bytes before `offset` are hashed; `tell` is told of those that have to be read for that."""
        if offset < self._at:
            while self._marks[-1][0] > offset:
                self._marks.pop()
            self._at, hasher = self._marks[-1]
            self._hasher = hasher.copy()
        for piece in self._file.pieces(descriptor, self._at, offset, self._stop):
            self.update(piece)
            tell(len(piece))

    def hexdigest(self) -> str:
        """Of all bytes so far."""
        return self._hasher.hexdigest()
