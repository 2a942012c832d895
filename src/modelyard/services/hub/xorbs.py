"""Xorbs, the blocks of chunks that xet sends: where their chunks are, and what is in them.

A chunk has a head of 8 bytes: a version, the length of its packed bytes (3, the lowest first), a scheme, and the length
of what they unpack to (3). Behind the last chunk a footer may follow, which says nothing that is needed here (the Xet
protocol's specification, "Xorb format").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import lz4.frame

from modelyard.blobs.store import BlobReader, Buffer
from modelyard.errors import BadRequest

MAX_XORB_BYTES = 65 * 1024 * 1024  # clients send 64 MiB, and heads of chunks and a footer
MAX_CHUNK_BYTES = 256 * 1024  # clients cut at half of that
MAX_CHUNKS = 16 * 1024  # clients stop at half of that
READ_BYTES = 256 * 1024

HEAD_BYTES = 8
VERSION = 0
RAW, LZ4, GROUPED = range(3)  # schemes
GROUPS = 4  # bytes of a number, which the third scheme has sorted by their place in it
FOOTER = b"XETBLOB"

_HEAD = struct.Struct("<B3sB3s")
_PLACE = struct.Struct("<IIIB")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where a chunk's packed bytes lie in its xorb, and what they unpack to."""

    at: int
    packed: int
    size: int
    scheme: int


class Scanner:
    """Finds the chunks of a xorb that passes by in pieces."""

    def __init__(self) -> None:
        self.places = bytearray()  # of the chunks, as `Places` reads them
        self._at = 0
        self._skip = 0  # bytes of a chunk that are still to come
        self._head = bytearray()
        self._ended = False

    def feed(self, piece: Buffer) -> None:
        """Take the next bytes. Raises BadRequest for what is no xorb."""
        view = memoryview(piece).cast("B")
        while view and not self._ended:
            if self._skip:
                passed = min(self._skip, len(view))
                self._skip -= passed
            else:
                passed = min(HEAD_BYTES - len(self._head), len(view))
                self._head += view[:passed]
                if len(self._head) == HEAD_BYTES:
                    self._begin(self._at + passed)
            view = view[passed:]
            self._at += passed

    def finish(self) -> None:
        """Hold that the last chunk is whole. Raises BadRequest."""
        if self._skip or (self._head and not self._ended):
            raise BadRequest.plain("The xorb ends within a chunk")
        if not self.places:
            raise BadRequest.plain("The xorb has no chunks")

    def _begin(self, at: int) -> None:
        if self._head.startswith(FOOTER):
            self._ended = True
            return
        version, packed_bytes, scheme, size_bytes = _HEAD.unpack(self._head)
        packed, size = int.from_bytes(packed_bytes, "little"), int.from_bytes(size_bytes, "little")
        if version != VERSION or scheme not in {RAW, LZ4, GROUPED}:
            raise BadRequest.plain("The xorb is of an unknown form")
        if (
            not 0 < size <= MAX_CHUNK_BYTES
            or not 0 < packed <= 2 * MAX_CHUNK_BYTES
            or (scheme == RAW and packed != size)
        ):
            raise BadRequest.plain("A chunk of the xorb has an impossible length")
        if len(self.places) == MAX_CHUNKS * _PLACE.size:
            raise BadRequest.plain(f"A xorb has {MAX_CHUNKS} chunks at most")
        self.places += _PLACE.pack(at, packed, size, scheme)
        self._skip = packed
        self._head.clear()


@dataclass(frozen=True, slots=True)
class Places:
    """The places of a xorb's chunks, as a scanner has found them: of many, few are looked at."""

    kept: bytes

    def __len__(self) -> int:
        return len(self.kept) // _PLACE.size

    def of(self, first: int, end: int) -> list[Chunk]:
        """Those of the chunks from `first` up to `end`, which must be there."""
        return [Chunk(*place) for place in _PLACE.iter_unpack(self.kept[first * _PLACE.size : end * _PLACE.size])]


def contents(reader: BlobReader, chunks: Sequence[Chunk]) -> Iterator[bytes]:
    """What is in some chunks of a xorb that follow each other; no more of it is held than a block of reading.

    Raises BadRequest for a chunk that does not unpack to what its head says.
    """
    for block in _blocks(chunks):
        begin, last = block[0].at, block[-1]
        held = memoryview(reader.read(begin, last.at + last.packed - begin))
        for chunk in block:
            packed = held[chunk.at - begin : chunk.at - begin + chunk.packed]
            yield _unpacked(packed, chunk)


def _blocks(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """Chunks that are read together."""
    block: list[Chunk] = []
    for chunk in chunks:
        if block and chunk.at + chunk.packed - block[0].at > READ_BYTES:
            yield block
            block = []
        block.append(chunk)
    if block:
        yield block


def _unpacked(packed: memoryview, chunk: Chunk) -> bytes:
    if chunk.scheme == RAW:
        return bytes(packed)
    try:
        unpacker = lz4.frame.LZ4FrameDecompressor()
        content: bytes = unpacker.decompress(packed, max_length=chunk.size + 1)
    except RuntimeError as error:
        raise BadRequest.plain("A chunk of the xorb cannot be unpacked") from error
    if len(content) != chunk.size or not unpacker.eof:
        raise BadRequest.plain("A chunk of the xorb has another length than it says")
    return _ungrouped(content) if chunk.scheme == GROUPED else content


def _ungrouped(content: bytes) -> bytes:
    """Bytes that were sorted by their place in numbers of four, as they were before."""
    whole, rest = divmod(len(content), GROUPS)
    ends = [0]
    for group in range(GROUPS):
        ends.append(ends[-1] + whole + (group < rest))
    mixed = bytearray(len(content))
    for group, (begin, end) in enumerate(pairwise(ends)):
        mixed[group::GROUPS] = content[begin:end]
    return bytes(mixed)
