"""What a file that comes by xet is put together of: xorbs of its session, and files that are known by their chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from modelyard.blobs.store import BlobMissing, BlobStore
from modelyard.errors import BadRequest
from modelyard.registry.hub.chunks import Known
from modelyard.registry.hub.uploads import Piece, Sender
from modelyard.registry.repository import Registry
from modelyard.services.hub import known_chunks, xorbs
from modelyard.services.hub.known_chunks import CHUNK_RECORD
from modelyard.services.hub.objects import READ_BYTES, Objects
from modelyard.services.hub.shards import HASH_BYTES, SentFile, Term
from modelyard.services.hub.xorbs import Chunk, Places

MAX_HELD = 16  # xorbs of which it is known where their chunks are


@dataclass(frozen=True, slots=True)
class SentXorb:
    """A xorb of the session."""

    piece: Piece

    def content(self, term: Term, store: BlobStore) -> Iterator[bytes]:
        """The bytes of some of its chunks, one at a time. Raises BadRequest and BlobMissing."""
        chunks = self._chunks(term)
        with store.open(self.piece.sha256) as reader:
            yield from xorbs.contents(reader, chunks)

    def records(self, term: Term) -> bytes | None:
        """Some of its chunks as they are kept; None where their hashes have not been told."""
        chunks, hashes = self._chunks(term), self.piece.hashes
        if hashes is None or len(hashes) != len(Places(self.piece.chunks)) * HASH_BYTES:
            return None
        starts = range(term.first * HASH_BYTES, term.end * HASH_BYTES, HASH_BYTES)
        told = zip(starts, chunks, strict=True)
        return b"".join(known_chunks.record(hashes[at : at + HASH_BYTES], chunk.size) for at, chunk in told)

    def _chunks(self, term: Term) -> list[Chunk]:
        places = Places(self.piece.chunks)
        _hold_range(term, len(places))
        found = places.of(term.first, term.end)
        _hold_size(term, sum(chunk.size for chunk in found))
        return found


@dataclass(frozen=True, slots=True)
class KnownXorb:
    """Chunks of a file that is here."""

    known: Known

    def content(self, term: Term, store: BlobStore) -> Iterator[bytes]:
        """The bytes of some of the chunks, in blocks. Raises BadRequest and BlobMissing."""
        self.records(term)
        at = self.known.offset + sum(known_chunks.sizes_of(self.known.records[: term.first * CHUNK_RECORD]))
        end = at + term.size
        with store.open(self.known.sha256) as reader:
            for block in range(at, end, READ_BYTES):
                yield reader.read(block, min(READ_BYTES, end - block))

    def records(self, term: Term) -> bytes:
        """Some of the chunks as they are kept. Raises BadRequest."""
        _hold_range(term, len(self.known.records) // CHUNK_RECORD)
        records = self.known.records[term.first * CHUNK_RECORD : term.end * CHUNK_RECORD]
        _hold_size(term, sum(known_chunks.sizes_of(records)))
        return records


class Sources:
    """All that the files of a session may be made of, for the thread that does so; few at a time are held."""

    def __init__(self, objects: Objects, sender: Sender, session: str) -> None:
        self.used: set[str] = set()  # xorbs, by their names
        self.borrowed: set[str] = set()  # files, by their digests
        self._objects = objects
        self._sender = sender
        self._session = session
        self._source = lru_cache(MAX_HELD)(self._find)

    def content(self, file: SentFile) -> Iterator[bytes]:
        """The bytes of a file, in blocks. Raises BadRequest."""
        for term in file.terms():
            try:
                yield from self._source(term.xorb).content(term, self._objects.store)
            except BlobMissing as error:
                raise BadRequest.plain(f"The xorb {term.xorb} is not here any more: send it again") from error

    def records(self, file: SentFile) -> Iterator[bytes]:
        """The chunks of a file as they are kept, as far as they are known from its beginning on."""
        for term in file.terms():
            try:
                records = self._source(term.xorb).records(term)
            except BadRequest:
                return
            if records is None:
                return
            yield records

    def _find(self, xorb: str) -> SentXorb | KnownXorb:
        """Where the chunks of a xorb are. Raises BadRequest."""

        def work(registry: Registry) -> Piece | Known | None:
            sent = registry.uploads.pieces(self._sender, self._session, [xorb]).get(xorb)
            if sent is not None:
                return sent
            known = registry.chunks.find(self._sender.project_id, known_chunks.id_in(xorb))
            if known is None or known_chunks.name_of(known) != xorb:
                return None
            mine = known.sha256 in registry.uploads.sizes(self._sender, [known.sha256])
            return known if mine and not registry.blobs.is_damaged(known.sha256) else None

        found = self._objects.read_now(work)
        if found is None:
            raise BadRequest.plain(f"The xorb {xorb} has not been sent in this session")
        if isinstance(found, Known):
            self.borrowed.add(found.sha256)
            return KnownXorb(found)
        self.used.add(xorb)
        return SentXorb(found)


def _hold_range(term: Term, chunks: int) -> None:
    if not term.first < term.end <= chunks:
        raise BadRequest.plain(f"The xorb {term.xorb} has {chunks} chunks")


def _hold_size(term: Term, size: int) -> None:
    if size != term.size:
        raise BadRequest.plain(f"A part of a file has another length than its chunks in the xorb {term.xorb}")
