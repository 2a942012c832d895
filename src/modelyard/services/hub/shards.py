"""Shards: what xet says of files, of which chunks each is made.

A head of 48 bytes, and records of 48: for each file its hash, then its parts (the xorb, and its first and last chunk),
as many records that prove them, and one with the file's SHA-256. Behind the files, for each xorb that is new, its hash,
and then the hash and the bytes of each of its chunks (the Xet protocol's specification, "Shard format").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelyard.blobs.store import Buffer
from modelyard.errors import BadRequest
from modelyard.services.hub.xorbs import MAX_CHUNKS

RECORD_BYTES = 48
HASH_BYTES = 32
MAX_FILES = 10_000  # of one shard
MAX_TERMS = 200_000
END = b"\xff" * 32
VERIFIED, DESCRIBED = 1 << 31, 1 << 30  # flags of a file

_FILE = struct.Struct("<32sII8x")
_TERM = struct.Struct("<32sIIII")
_XORB = struct.Struct("<32sIIII")
_WORDS = struct.Struct("<4Q")


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a file: chunks of a xorb, from `first` up to `end`, which are `size` bytes."""

    xorb: str
    first: int
    end: int
    size: int


@dataclass(slots=True)
class SentFile:
    """A file of a shard; its parts stay as they came, as there may be very many."""

    sha256: str = ""
    size: int = 0
    chunks: int = 0
    records: bytearray = field(default_factory=bytearray)

    def add(self, record: bytes) -> None:
        """Take its next part."""
        _xorb, _flags, size, first, end = _TERM.unpack(record)
        self.size += size
        self.chunks += max(0, end - first)
        self.records += record

    def terms(self) -> Iterator[Term]:
        """Its parts, in their order."""
        for xorb, _flags, size, first, end in _TERM.iter_unpack(self.records):
            yield Term(hash_text(xorb), first, end, size)


class ListedXorbs:
    """The hashes of chunks that a shard lists behind its files.

    They only spare later uploads: what cannot be read there ends the list, and is no fault of the shard.
    """

    def __init__(self) -> None:
        self.whole: dict[str, bytes] = {}  # of xorbs, by their names; whoever uses them takes them out
        self._name = ""
        self._hashes = bytearray()
        self._left = 0  # chunks of the xorb that are still to come
        self._ended = False

    @property
    def held(self) -> int:
        """Bytes in memory, about."""
        return len(self._hashes) + sum(map(len, self.whole.values()))

    def take(self, record: bytes) -> None:
        """Take the next record."""
        if self._left:
            self._left -= 1
            self._hashes += record[:HASH_BYTES]
            if not self._left:
                self.whole[self._name] = bytes(self._hashes)
                self._hashes.clear()
        elif not self._ended:
            name, _flags, count, _bytes, _packed = _XORB.unpack(record)
            self._ended = name == END or count > MAX_CHUNKS
            self._name, self._left = hash_text(name), 0 if self._ended else count


class ShardReader:
    """Reads a shard that passes by in pieces."""

    def __init__(self) -> None:
        self.files: list[SentFile] = []
        self.xorbs = ListedXorbs()
        self.ended = False
        self._rest = bytearray()
        self._begun = False
        self._terms = self._proofs = self._described = 0  # records that are still to come for the last file
        self._count = 0

    def feed(self, piece: Buffer) -> None:
        """Take the next bytes. Raises BadRequest for what is no shard."""
        self._rest += piece
        whole = len(self._rest) - len(self._rest) % RECORD_BYTES
        for at in range(0, whole, RECORD_BYTES):
            record = bytes(self._rest[at : at + RECORD_BYTES])
            if self.ended:
                self.xorbs.take(record)
            else:
                self._take(record)
        del self._rest[:whole]

    @property
    def held(self) -> int:
        """Bytes in memory, about: of what came, and of what is about to come."""
        return (self._count + len(self.files)) * RECORD_BYTES + self.xorbs.held

    def finish(self) -> list[SentFile]:
        """All files. Raises BadRequest for a shard that was cut."""
        if not self.ended:
            raise BadRequest.plain("The shard ends within its files")
        return self.files

    def _take(self, record: bytes) -> None:
        if not self._begun:
            self._begun = True  # the head says nothing that is needed
        elif self._terms:
            self._terms -= 1
            self.files[-1].add(record)
        elif self._proofs:
            self._proofs -= 1
        elif self._described:
            self._described -= 1
            self.files[-1].sha256 = digest_text(record[:32])
        elif record.startswith(END):
            self.ended = True
        else:
            self._begin(record)

    def _begin(self, record: bytes) -> None:
        _hash, flags, terms = _FILE.unpack(record)
        self._count += terms
        if len(self.files) == MAX_FILES or self._count > MAX_TERMS:
            raise BadRequest.plain(f"A shard has {MAX_FILES} files of {MAX_TERMS} parts in all at most")
        if not flags & DESCRIBED:
            raise BadRequest.plain("A file of the shard comes without its SHA-256")
        self._terms, self._proofs, self._described = terms, terms if flags & VERIFIED else 0, 1
        self.files.append(SentFile())


def hash_text(raw: bytes) -> str:
    """A hash as xet writes it: each 8 bytes are a number of which the lowest byte comes first."""
    return "".join(f"{word:016x}" for word in _WORDS.unpack(raw))


def hash_of_text(text: str) -> bytes:
    """The hash that `hash_text` has written."""
    return _WORDS.pack(*(int(text[at : at + 16], 16) for at in range(0, 64, 16)))


def digest_text(raw: bytes) -> str:
    """A SHA-256 that is kept as xet keeps its own hashes."""
    return hash_text(raw)
