"""Xet, as far as it takes to send files: xorbs come first, then shards that say which files they make.

A file is put together and held against its SHA-256 when its shard comes; from then on it is an object as any other.
Xorbs are those of one user, project and session, and are forgotten after a day. Which chunks a file has is known from
then on, so that they need not be sent again (see `known_chunks`).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from modelyard.access.identity import Identity
from modelyard.blobs.store import Buffer, is_digest
from modelyard.clock import Milliseconds
from modelyard.errors import BadRequest, BodyTooLarge, Forbidden
from modelyard.registry.hub.chunks import Group
from modelyard.registry.hub.uploads import Piece, Sender
from modelyard.registry.repository import Registry
from modelyard.services.files.recording import Content
from modelyard.services.hub import xorbs
from modelyard.services.hub.committing import require_branch
from modelyard.services.hub.known_chunks import grouped
from modelyard.services.hub.known_files import KnownFiles
from modelyard.services.hub.objects import Objects, note
from modelyard.services.hub.reception import Room
from modelyard.services.hub.revisions import find_version
from modelyard.services.hub.shards import ListedXorbs, SentFile, ShardReader
from modelyard.services.hub.sources import Sources
from modelyard.services.hub.tickets import Right, Wanted
from modelyard.services.hub.writing import sender_of, writable
from modelyard.services.people.authentication import authenticate
from modelyard.terms.repositories import RepositoryId

TOKEN_SECONDS = 3600
MEAN_CHUNK_BYTES = 4 * 1024  # clients' chunks have 8 KiB at least, but for the last of each file
MAX_SMALL_CHUNKS = 10_000  # of a file, beside those
MAX_SHARD_BYTES = 128 * 1024 * 1024
HELD_HASHES = 1024 * 1024  # bytes of hashes that wait to be noted
_HASH = re.compile(r"[0-9a-f]{64}")
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Access:
    """The right to send by xet: a token, until when it holds, and a session of its own."""

    token: str
    expires_at: Milliseconds
    session: str


class Xet:
    """Takes in what clients send by xet."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._known = KnownFiles(objects)
        self._running: dict[Hashable, asyncio.Task[None]] = {}

    async def access(self, credential: str | None, asked: RepositoryId | None, revision: str) -> Access:
        """The right to send to a repository. Raises as `writing.writable`, RevisionNotFound, TooManyRequests."""
        secret, session = secrets.token_urlsafe(32), secrets.token_urlsafe(16)

        def work(registry: Registry) -> Milliseconds:
            caller: Identity = authenticate(registry, credential)
            repository = writable(registry, caller, asked)
            require_branch(revision)
            find_version(registry, repository.model, revision)
            sender = sender_of(caller, repository)
            return self._objects.tickets.give(registry, caller, sender, [(secret, None)], TOKEN_SECONDS)

        return Access(secret, await self._objects.write(work), session)

    async def admit(self, secret: str, session: str) -> Right:
        """What the holder of a token may send. Raises Forbidden, and as `Objects.admit`."""
        if not _SESSION.fullmatch(session):
            raise Forbidden("There is no such session")
        right = await self._objects.tickets.admit(secret)
        if right.ticket.sha256 is not None:
            raise Forbidden("This right to send is for one object")
        return right

    async def receive_xorb(
        self, right: Right, session: str, name: str, pieces: AsyncIterator[Buffer], declared: int | None
    ) -> bool:
        """Keep a xorb for the shards that follow; whether it is new. Raises BadRequest."""
        if not _HASH.fullmatch(name):
            raise BadRequest.plain("A xorb is named by its hash in hexadecimal digits")
        if declared is not None and declared > xorbs.MAX_XORB_BYTES:
            raise BodyTooLarge(f"a xorb has {xorbs.MAX_XORB_BYTES} bytes at most")
        scanner = xorbs.Scanner()

        def record(registry: Registry, content: Content) -> bool:
            known = registry.uploads.pieces(right.sender, session, [name])
            piece = Piece(name, content.sha256, content.size, bytes(scanner.places))
            registry.uploads.keep_piece(right.sender, session, piece)
            return not known

        return await self._objects.ingest(right, _scanned(pieces, scanner), declared, xorbs.MAX_XORB_BYTES, record)

    async def receive_shard(
        self, right: Right, session: str, pieces: AsyncIterator[Buffer], declared: int | None, room: Room
    ) -> None:
        """Put the files of a shard together, each of which is durable and known when this returns.

        Raises BadRequest for xorbs that are not there, DigestMismatch, FileTooLarge, OverQuota and Unavailable.
        """
        if declared is not None and declared > MAX_SHARD_BYTES:
            raise BodyTooLarge(f"a shard has {MAX_SHARD_BYTES} bytes at most")
        reader, arrived, digest = ShardReader(), 0, hashlib.sha256()
        async for piece in pieces:
            arrived += len(piece)
            if arrived > MAX_SHARD_BYTES:
                raise BodyTooLarge(f"a shard has {MAX_SHARD_BYTES} bytes at most")
            digest.update(piece)
            reader.feed(piece)
            await room.grow(reader.held)
            if reader.xorbs.held > HELD_HASHES:
                await self._note_hashes(right, session, reader.xorbs)
        files = reader.finish()
        await self._note_hashes(right, session, reader.xorbs)
        await self._once(
            (right.sender, session, digest.digest()), lambda: self._put_all_together(right, session, files)
        )

    async def _note_hashes(self, right: Right, session: str, listed: ListedXorbs) -> None:
        hashes, listed.whole = listed.whole, {}
        if hashes:
            await self._objects.write(lambda registry: registry.uploads.note_hashes(right.sender, session, hashes))

    async def find_chunk(self, right: Right, chunk: str) -> AsyncIterator[bytes]:
        """A shard by which whoever has a chunk of that hash need not send it. Raises EntryNotFound and BadRequest."""
        if not _HASH.fullmatch(chunk):
            raise BadRequest.plain("A chunk is named by its hash in hexadecimal digits")
        return await self._known.shard_with(right, chunk)

    async def _once(self, key: Hashable, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do what may take minutes. A client that has lost patience asks again, and waits for the same work."""
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.create_task(work())
            running.add_done_callback(lambda _ended: self._running.pop(key))
        await asyncio.shield(running)

    async def _put_all_together(self, right: Right, session: str, files: Sequence[SentFile]) -> None:
        for file in files:
            await self._put_together(right, session, file)

    async def _put_together(self, right: Right, session: str, file: SentFile) -> None:
        wanted = Wanted(file.sha256, file.size)
        if not is_digest(wanted.sha256):
            raise BadRequest.plain("A file of the shard has no SHA-256")
        if file.chunks > MAX_SMALL_CHUNKS + wanted.size // MEAN_CHUNK_BYTES:
            raise BadRequest.plain(f"A file of {wanted.size} bytes is not made of {file.chunks} chunks")
        sender, known = right.sender, self._known

        def look_up(registry: Registry) -> tuple[bool, bool]:
            is_there = wanted in self._objects.there(registry, sender, [wanted])
            return is_there, known.is_known(registry, sender, file)

        is_there, is_known = await self._objects.read(look_up)
        sources = Sources(self._objects, sender, session)
        if not is_there:  # else it is as after an answer that was lost
            right.holds(wanted.size)
            await self._join(sender, wanted, file, sources)
        groups = iter(()) if is_known else grouped(sources.records(file))
        first = await self._objects.run(lambda: next(groups, None))
        if is_there and first is None:
            return

        def work(registry: Registry) -> None:
            registry.uploads.count_no_more(sender, session, sorted(sources.used))
            if first is not None:
                known.keep(registry, sender, file, first)

        await self._objects.write(work)
        await self._objects.run(lambda: self._keep(sender, file, groups))

    def _keep(self, sender: Sender, file: SentFile, groups: Iterator[Group]) -> None:
        for group in groups:  # each in a transaction of its own: a terabyte has thousands
            self._objects.write_now(partial(self._known.keep, sender=sender, file=file, group=group))

    async def _join(self, sender: Sender, wanted: Wanted, file: SentFile, sources: Sources) -> None:
        try:
            noted = partial(note, sender=sender, wanted=wanted)
            await self._objects.put_together(wanted, lambda: sources.content(file), noted)
        except BadRequest:
            # Perhaps for what is known of other files: it is forgotten, and all of this one comes next time.
            borrowed = sorted(sources.borrowed)
            if borrowed:
                await self._objects.write(lambda registry: registry.chunks.forget(sender.project_id, borrowed))
            raise


async def _scanned(pieces: AsyncIterator[Buffer], scanner: xorbs.Scanner) -> AsyncIterator[Buffer]:
    async for piece in pieces:
        scanner.feed(piece)
        yield piece
    scanner.finish()
