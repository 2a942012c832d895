"""The floor of an upload to a bucket: received, hashed and sent on, by one loop, or by threads beside each other.

One loop is all that it costs, but it waits for the bucket's answer behind each part. Whoever sends parts while others
come needs threads, which wait for each other and for Python's lock, and memory that does not stay in the cache.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

from bench.contenders.bare_bucket import PART, BareUpload
from bench.contenders.blocks import BLOCK, huge_page

SENDERS = 3  # parts that are sent at once, as modelyard's
BLOCKS = (
    SENDERS + 1
) * PART // BLOCK + 2  # which divides PART; one more part is gathered, one block received, and one hashed

Fill = Callable[[memoryview], None]  # with the next bytes of the body


def send_by_one_loop(fill: Fill, url: str, length: int) -> None:
    """Hash what comes, and send it on, one part after the other."""
    digest, block, etags = hashlib.sha256(), memoryview(bytearray(BLOCK)), list[str]()
    upload = BareUpload(url)
    for begin in range(0, length, PART):
        size = min(PART, length - begin)
        part = upload.part(len(etags) + 1, size)
        for sent in range(0, size, BLOCK):
            piece = block[: size - sent]
            fill(piece)
            digest.update(piece)
            part.send(piece)
        etags.append(part.end())
    upload.complete(etags)


def send_by_threads(fill: Fill, url: str, length: int) -> None:
    """Receive in this thread, hash in another, and send whole parts in SENDERS more."""
    free: SimpleQueue[memoryview] = SimpleQueue()
    for _ in range(BLOCKS):
        free.put(huge_page())
    upload = BareUpload(url)
    senders = _Senders(upload, free)
    hashing = _Hashing(senders)
    for begin in range(0, length, BLOCK):
        piece = free.get()[: length - begin]
        fill(piece)
        hashing.take(piece)
    hashing.end()
    upload.complete(senders.end())


class _Senders:
    """Threads that send whole parts, each on a connection of its own, and give their blocks back."""

    def __init__(self, upload: BareUpload, free: SimpleQueue[memoryview]) -> None:
        self._upload = upload
        self._free = free
        self._parts: SimpleQueue[tuple[int, list[memoryview]] | None] = SimpleQueue()
        self._etags: dict[int, str] = {}
        self._threads = [threading.Thread(target=self._send_all) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def take(self, number: int, blocks: list[memoryview]) -> None:
        """Send a part soon."""
        self._parts.put((number, blocks))

    def end(self) -> list[str]:
        """The parts' ETags as they are numbered, once all are sent."""
        for _ in self._threads:
            self._parts.put(None)
        for thread in self._threads:
            thread.join()
        return [self._etags[number] for number in sorted(self._etags)]

    def _send_all(self) -> None:
        while (taken := self._parts.get()) is not None:
            number, blocks = taken
            try:
                part = self._upload.part(number, sum(map(len, blocks)))
                for block in blocks:
                    part.send(block)
                self._etags[number] = part.end()
            except (OSError, RuntimeError):
                os._exit(1)  # the bucket takes no more: curl will say that it hears nothing
            for block in blocks:
                self._free.put(block)


class _Hashing:
    """A thread that hashes blocks, and gives those that make a part to the senders."""

    def __init__(self, senders: _Senders) -> None:
        self._senders = senders
        self._filled: SimpleQueue[memoryview | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._hash)
        self._thread.start()

    def take(self, block: memoryview) -> None:
        """Hash a block soon, and send it then."""
        self._filled.put(block)

    def end(self) -> None:
        """Return when all is hashed, and given to the senders."""
        self._filled.put(None)
        self._thread.join()

    def _hash(self) -> None:
        digest, number, blocks = hashlib.sha256(), 1, list[memoryview]()
        while (block := self._filled.get()) is not None:
            digest.update(block)
            blocks.append(block)
            if len(blocks) == PART // BLOCK:
                self._senders.take(number, blocks)
                number, blocks = number + 1, []
        if blocks:
            self._senders.take(number, blocks)
