"""Bytes that come before the commit that names them, by a right of `tickets`: taken in, put together, and known.

What a user has sent, only they can name in a commit.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from modelyard.blobs.store import BlobMissing, BlobStore, Buffer, is_digest
from modelyard.errors import BadRequest, EntryNotFound
from modelyard.registry.engine import Database
from modelyard.registry.hub.uploads import Piece, Sender
from modelyard.registry.repository import Registry
from modelyard.services.files.ingest import DigestMismatch, Expectations, Hold, Ingest
from modelyard.services.files.quota import Quota
from modelyard.services.files.recording import Content
from modelyard.services.files.transfers import Transfers
from modelyard.services.hub.tickets import Right, Tickets, Wanted
from modelyard.services.hub.writing import sender_of, writable
from modelyard.services.people.authentication import authenticate
from modelyard.terms.repositories import RepositoryId

T = TypeVar("T")

MAX_SIZE = 2**63 - 1
PART_BYTES = 256 * 1024 * 1024
READ_BYTES = 256 * 1024
NOTHING_EXPECTED = Expectations({}, {}, None)


@dataclass(frozen=True, slots=True)
class Offer:
    """An object with the secret by which it may be sent; None for one that is here already."""

    wanted: Wanted
    secret: str | None


class Objects:
    """Takes in what clients send before they commit it."""

    def __init__(self, database: Database, files: Transfers) -> None:
        self._database = database
        self._files = files
        self.tickets = Tickets(database, files)
        self.quota: Quota = files.quota
        self.store: BlobStore = files.store

    async def offer(
        self, credential: str | None, asked: RepositoryId | None, wanted: Sequence[Wanted]
    ) -> tuple[RepositoryId, list[Offer]]:
        """How each object may be sent to a repository.

        Raises as `writing.writable`, BadRequest, FileTooLarge, OverQuota and TooManyRequests.
        """

        def work(registry: Registry) -> tuple[RepositoryId, list[Offer]]:
            caller = authenticate(registry, credential)
            repository = writable(registry, caller, asked)
            sender = sender_of(caller, repository)
            holds = self.tickets.holds(registry, sender.project_id)
            for each in wanted:
                check_object(each)
            there = self.there(registry, sender, wanted)
            missing = [each for each in wanted if each not in there]
            for each in missing:
                holds(each.size)
            given = {each: secrets.token_urlsafe(32) for each in missing}
            tickets = [(secret, each) for each, secret in given.items()]
            self.tickets.give(registry, caller, sender, tickets)
            return repository.id, [Offer(each, given.get(each)) for each in wanted]

        return await self._database.write(work)

    async def receive(self, right: Right, pieces: AsyncIterator[Buffer], declared: int | None) -> Wanted:
        """Take an object in; it is durable, and known, when this returns.

        Raises BadRequest, DigestMismatch, FileTooLarge and OverQuota.
        """
        wanted = right.object()
        expected = Expectations({"sha-256": bytes.fromhex(wanted.sha256)}, {}, None)

        def record(registry: Registry, _content: Content) -> None:
            note(registry, right.sender, wanted)

        await self._take(right, pieces, declared, wanted.size, record, expected)
        return wanted

    async def receive_part(self, right: Right, number: int, pieces: AsyncIterator[Buffer], declared: int | None) -> str:
        """Take a part of an object in; the answer is its SHA-256. Raises BadRequest."""
        wanted = right.object()
        sizes = part_sizes(wanted.size)
        if not 1 <= number <= len(sizes):
            raise BadRequest.plain(f"The object has the parts 1 to {len(sizes)}")
        size = sizes[number - 1]

        def record(registry: Registry, content: Content) -> str:
            registry.uploads.keep_piece(right.sender, right.session, Piece(str(number), content.sha256, size, b""))
            return content.sha256

        return await self._take(right, pieces, declared, size, record)

    async def complete(self, right: Right, parts: Mapping[int, str]) -> Wanted:
        """Put an object together of its parts, each by number with the SHA-256 that was told of it.

        Raises BadRequest for a part that is not there, or another, and DigestMismatch.
        """
        wanted = right.object()
        numbers = range(1, len(part_sizes(wanted.size)) + 1)
        if sorted(parts) != list(numbers):
            raise BadRequest.plain(f"The object has the parts 1 to {len(numbers)}, each once")
        names = [str(number) for number in numbers]
        found = await self._database.read(lambda registry: registry.uploads.pieces(right.sender, right.session, names))
        for number in numbers:
            piece = found.get(str(number))
            if piece is None or piece.sha256 != parts[number]:
                raise BadRequest.plain(f"Part {number} has not been sent, or is another one")

        def record(registry: Registry) -> None:
            note(registry, right.sender, wanted)
            registry.uploads.forget_pieces(right.sender, right.session)

        await self.put_together(wanted, lambda: _bytes_of([found[name] for name in names], self.store), record)
        return wanted

    async def put_together(
        self, wanted: Wanted, content: Callable[[], Iterator[bytes]], record: Callable[[Registry], None]
    ) -> None:
        """Keep an object that is made of what is in the store, and record it.

        Raises DigestMismatch, BadRequest and BlobError.
        """

        def work() -> None:
            size = 0
            with self.store.begin() as writer:
                for block in content():
                    size += len(block)
                    if size > wanted.size:
                        raise BadRequest.plain(f"There are more than {wanted.size} bytes")
                    writer.write([block])
                if writer.digest() != wanted.sha256 or size != wanted.size:
                    raise DigestMismatch
                writer.publish()
                kept = Content(wanted.sha256, size, writer.publish)
                self._database.write_now(lambda registry: self._recorded(registry, kept, record))

        await self.run(work)

    def _recorded(self, registry: Registry, content: Content, record: Callable[[Registry], None]) -> None:
        self._files.recorder.hold(registry, content)
        record(registry)

    async def verify(self, credential: str | None, asked: RepositoryId | None, wanted: Wanted) -> None:
        """Hold that an object has come. Raises as `writing.writable`, EntryNotFound and BadRequest."""
        check_object(wanted)

        def work(registry: Registry) -> bool:
            caller = authenticate(registry, credential)
            sender = sender_of(caller, writable(registry, caller, asked))
            return wanted in self.there(registry, sender, [wanted])

        if not await self._database.read(work):
            raise EntryNotFound(wanted.sha256)

    async def write(self, work: Callable[[Registry], T]) -> T:
        """What `work` changes, in one transaction."""
        return await self._database.write(work)

    async def read(self, work: Callable[[Registry], T]) -> T:
        """What `work` reads."""
        return await self._database.read(work)

    def read_now(self, work: Callable[[Registry], T]) -> T:
        """What `work` reads, on the calling thread, which is not the loop's."""
        return self._database.read_now(work)

    def write_now(self, work: Callable[[Registry], None]) -> None:
        """What `work` changes, in one transaction, on the calling thread."""
        self._database.write_now(work)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` makes, on threads of their own: gigabytes take seconds, and the reads of others would wait."""
        return await asyncio.get_running_loop().run_in_executor(self._files.verifiers, work)

    async def ingest(
        self,
        right: Right,
        pieces: AsyncIterator[Buffer],
        declared: int | None,
        most: int,
        record: Callable[[Registry, Content], T],
        expected: Expectations = NOTHING_EXPECTED,
    ) -> T:
        """Take bytes in of which there can be so many, and record them. Raises as `Recorder.keep_bytes`."""
        holds = _at_most(most, right.holds)
        if declared is not None:
            holds(declared)
        self._files.in_flight("up", 1)
        try:
            ingest = Ingest(self.store, self._files.io, expected, holds)
            return await self._files.recorder.keep_bytes(ingest, pieces, record)
        finally:
            self._files.in_flight("up", -1)

    async def _take(
        self,
        right: Right,
        pieces: AsyncIterator[Buffer],
        declared: int | None,
        size: int,
        record: Callable[[Registry, Content], T],
        expected: Expectations = NOTHING_EXPECTED,
    ) -> T:
        """Take exactly so many bytes in, and record them."""
        if declared is not None and declared != size:
            raise BadRequest.plain(f"{size} bytes are to come, not {declared}")
        return await self.ingest(right, _whole(pieces, size), None, size, record, expected)

    def there(self, registry: Registry, sender: Sender, wanted: Sequence[Wanted]) -> set[Wanted]:
        """Those of the objects that need not be sent: the store has them as they should be, and the user may name
        them.
        """
        sizes = registry.uploads.sizes(sender, sorted({each.sha256 for each in wanted}))
        return {each for each in wanted if sizes.get(each.sha256) == each.size and self._is_whole(registry, each)}

    def _is_whole(self, registry: Registry, wanted: Wanted) -> bool:
        return not registry.blobs.is_damaged(wanted.sha256) and self.store.stat(wanted.sha256) is not None


def note(registry: Registry, sender: Sender, wanted: Wanted) -> None:
    """Know an object whose bytes have just become durable."""
    registry.uploads.note_object(sender, wanted.sha256, wanted.size)
    registry.blobs.repaired([wanted.sha256])


def check_object(wanted: Wanted) -> None:
    """Raise BadRequest for what can be no object."""
    if not is_digest(wanted.sha256) or not 0 <= wanted.size <= MAX_SIZE:
        raise BadRequest.plain("An object is named by its SHA-256 in lower-case hexadecimal digits, and its size")


def part_sizes(size: int) -> list[int]:
    """The bytes of each part of an object."""
    whole, rest = divmod(size, PART_BYTES)
    return [PART_BYTES] * whole + ([rest] if rest else [])


def part_count(size: int) -> int:
    """How many parts an object is sent in, where it is sent in parts."""
    return math.ceil(size / PART_BYTES)


def _at_most(size: int, holds: Hold) -> Hold:
    def hold(arrived: int) -> None:
        if arrived > size:
            raise BadRequest.plain(f"No more than {size} bytes are to come")
        holds(arrived)

    return hold


async def _whole(pieces: AsyncIterator[Buffer], size: int) -> AsyncIterator[Buffer]:
    """The pieces; raises BadRequest at their end where they are fewer bytes."""
    arrived = 0
    async for piece in pieces:
        arrived += len(piece)
        yield piece
    if arrived < size:
        raise BadRequest.plain(f"{size} bytes are to come, not {arrived}")


def _bytes_of(pieces: Sequence[Piece], store: BlobStore) -> Iterator[bytes]:
    for piece in pieces:
        try:
            reader = store.open(piece.sha256)
        except BlobMissing as error:
            raise BadRequest.plain(f"Part {piece.name} is not here any more: send it again") from error
        with reader:
            for at in range(0, piece.size, READ_BYTES):
                yield reader.read(at, READ_BYTES)
