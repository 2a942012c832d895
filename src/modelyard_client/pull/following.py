"""The SHA-256 of a file whose pieces come in any order: a thread follows them as far as they have no gap."""

from __future__ import annotations

import hashlib
import threading

from modelyard_client.errors import ClientError
from modelyard_client.local.files import READ_BYTES, local_errors, preadv
from modelyard_client.pull.partials import Partial, Piece
from modelyard_client.stopping import Stop

LOOK_SECONDS = 0.2


class Follower:
    """Hashes behind whoever writes."""

    def __init__(self, partial: Partial, size: int, stop: Stop) -> None:
        self._partial = partial
        self._size = size
        self._stop = stop
        self._ahead: dict[int, int] = {}  # pieces that are there and not hashed, by where they begin
        self._changed = threading.Condition()
        self._hasher = hashlib.sha256()
        self._error: ClientError | None = None
        self._ended = False
        self._given_up = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, piece: Piece) -> None:
        """A piece is there."""
        with self._changed:
            self._ahead[piece[0]] = piece[1]
            self._changed.notify()

    def end(self) -> None:
        """No more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def give_up(self) -> None:
        """Nobody asks for it any more; returns when nothing is read any more."""
        self._given_up = True
        self.end()
        self._thread.join()

    def hexdigest(self) -> str:
        """Once all is there and hashed. Raises Interrupted and ClientError."""
        while self._thread.is_alive():
            self._stop.check()
            self._thread.join(LOOK_SECONDS)
        if self._error is not None:
            raise self._error
        return self._hasher.hexdigest()

    def _run(self) -> None:
        at, buffer = 0, memoryview(bytearray(READ_BYTES))
        try:
            while at < self._size and not self._is_over():
                end = self._reach(at)
                if end == at:
                    return
                while at < end and not self._is_over():
                    with local_errors(self._partial.path):
                        count = preadv(self._partial.descriptor, [buffer[: end - at]], at)
                    if not count:
                        raise ClientError(f"{self._partial.path} is shorter than it was")
                    self._hasher.update(buffer[:count])
                    at += count
        except ClientError as error:
            self._error = error

    def _reach(self, at: int) -> int:
        """How far the pieces go without a gap; the same place only where no more will come."""
        with self._changed:
            while at not in self._ahead and not self._ended and not self._is_over():
                self._changed.wait(LOOK_SECONDS)
            while at in self._ahead:
                at = self._ahead.pop(at)
            return at

    def _is_over(self) -> bool:
        return self._given_up or self._stop.wanted
