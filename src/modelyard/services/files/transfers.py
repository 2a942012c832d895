"""The three operations of the file API: authorize, upload, download."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

from modelyard.access.identity import ANONYMOUS
from modelyard.access.policy import Action, sees
from modelyard.access.promises import Place
from modelyard.blobs.remote import UploadedData
from modelyard.blobs.store import BlobReader, BlobStore
from modelyard.clock import now
from modelyard.errors import BadRequest, NotFound
from modelyard.registry.engine import Database
from modelyard.registry.files.locations import Location, StoredFile
from modelyard.registry.repository import Registry
from modelyard.services.files import following
from modelyard.services.files.ingest import Expectations, FileTooLarge, Ingest
from modelyard.services.files.locating import (
    Address,
    Content,
    Precondition,
    credential_digest,
    find,
    find_to_change,
    judge,
    readable,
    record,
)
from modelyard.services.files.opening import BlobSource, Download, blob_expected, open_file, require_whole
from modelyard.services.files.quota import Room, limit_of, room_for, within
from modelyard.services.files.recent import MAX_CONTENT_BYTES, MAX_LOCATIONS, Recent, RecentInGeneration, once_a_turn
from modelyard.services.files.remote import Offer, Remote
from modelyard.wire.digests import DigestCheck
from modelyard.wire.form import Piece

T = TypeVar("T")

IO_THREADS = 16
VERIFYING_THREADS = 4

InFlight = Callable[[str, int], None]  # told of each transfer, `up` or `down`, that begins (1) or ends (-1)
ProxyPath = Callable[[str], str]  # the path by which a proxy in front sends a blob itself, by its digest
DownloadHeaders = Callable[[StoredFile], tuple[str, str]]  # Content-Type and Content-Disposition


@dataclass(frozen=True, slots=True)
class Permit:
    """What an upload may do: which file it would follow, and what the project has left for it."""

    current: StoredFile | None
    room: Room | None  # None: no limit


def _uncounted(_direction: str, _change: int) -> None:
    pass


class FileService:
    """Moves files between clients and the blob store, under the registry's rules."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        max_file_size: int,
        remote: Remote | None = None,
        project_quota: int = 0,
        in_flight: InFlight = _uncounted,
        proxy_path: ProxyPath | None = None,
    ) -> None:
        self.database = database
        self.store = store
        self.max_file_size = max_file_size
        self.project_quota = project_quota
        self.remote = remote
        self.proxy_path = proxy_path
        self._in_flight = in_flight
        self.executor = ThreadPoolExecutor(IO_THREADS, thread_name_prefix="blob-io")
        self.verifiers = ThreadPoolExecutor(VERIFYING_THREADS, thread_name_prefix="blob-verify")
        self._locations = RecentInGeneration[Location](MAX_LOCATIONS, once_a_turn(database.generation))
        self._contents = Recent[bytes](MAX_CONTENT_BYTES, len)  # by digest, so that they always hold

    def close(self) -> None:
        """Let running reads and writes end."""
        self.executor.shutdown()
        self.verifiers.shutdown()

    async def authorize(self, credential: str | None, address: Address, size: int | None) -> Permit:
        """Check all that an upload of `size` bytes would check before its body.

        Raises TokenError, Unauthorized, ProjectNotFound, Forbidden, NotFound, FileTooLarge and OverQuota, in the order
        of checks.
        """
        location = await self._locate(credential, address)
        judge(location, credential, Action.WRITE)
        self._note_use(location)
        if size is not None and self.max_file_size and size > self.max_file_size:
            raise FileTooLarge
        room = await self._room(location, address)
        if size is not None and room is not None:
            room.hold(size)
        return Permit(location.file, room)

    async def upload(
        self,
        credential: str | None,
        address: Address,
        pieces: AsyncIterator[Piece],
        expectations: Expectations,
        precondition: Precondition,
        status: str | None,
    ) -> StoredFile:
        """Keep a file whose request was authorized. It is durable, and its record committed, when this returns.

        All permissions are checked again in the transaction that records it: a token may be revoked, or a version
        deleted, while the bytes are on their way.
        """
        ingest = Ingest(self.store, self.executor, expectations)
        self._in_flight("up", 1)
        try:
            sha256 = await ingest.receive(pieces)
            content = Content(sha256, ingest.size, ingest.publish_again)
            return await self._keep(credential, address, content, precondition, status)
        finally:
            self._in_flight("up", -1)
            await ingest.close()

    async def offer_upload(
        self, credential: str | None, address: Address, size: int, sha256: str | None
    ) -> Offer | None:
        """An upload of `size` bytes past this server, once it was authorized; None where there is no other way."""
        remote = self.remote
        if remote is None:
            return None
        place = await self._place(credential, address)
        return await self._run(lambda: remote.offer(place, size, sha256))

    async def take_over(
        self,
        credential: str | None,
        address: Address,
        offer_id: str,
        expectations: Expectations,
        precondition: Precondition,
        status: str | None,
    ) -> StoredFile:
        """Keep a file that came by an offered upload, after it was authorized once more.

        Raises as `Remote.verified` does, and as `upload`.
        """
        remote = self.remote
        if remote is None:
            raise BadRequest("Uploads pass through this server")
        place = await self._place(credential, address)
        check = DigestCheck(expectations.representation)
        if check.algorithms:
            raise BadRequest("Only sha-256 is verified of what does not pass through this server")
        # On threads of their own: reading 100 GB back takes minutes, and all others' reads and writes would wait.
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(
            self.verifiers,
            lambda: _published(remote.verified(place, offer_id, expectations.max_size, expectations.room, check)),
        )
        content = Content(data.digest(), data.size, data.publish)
        return await self._keep(credential, address, content, precondition, status)

    async def download(self, credential: str | None, address: Address, *, counts: bool = True) -> Download:
        """Open a file for whoever may read it. Raises as `authorize` does, and FileNotFound.

        It `counts` as a download unless only the headers are asked for.
        """
        location, opened = await self._open(credential, address)
        self._note_use(location, downloaded=counts)
        return opened

    async def _open(self, credential: str | None, address: Address) -> tuple[Location, Download]:
        recent, generation = self._recent(credential, address)
        content = self._contents.get(recent.file.sha256) if recent and recent.file else None
        if recent is not None and content is not None:
            return recent, Download(readable(recent, credential), None, content)
        if self.remote is not None:
            # A store that answers over a network should not hold up the database's threads.
            location = await self._locate(credential, address)
            file = readable(location, credential)
            opened = await self._run(lambda: open_file(self.store, file))
        else:
            location, opened = await self.database.read_file(
                lambda registry: self._find_and_open(registry, credential, address), lambda found: found[1].close()
            )
            self._remember(credential, address, location, generation)
        if opened.content is not None:
            self._contents.put(opened.file.sha256, opened.content)
        return location, opened

    @property
    def redirects(self) -> bool:
        """Whether there are URLs at which the store itself gives files."""
        return self.remote is not None and self.remote.redirect_seconds is not None

    async def download_url(self, credential: str | None, address: Address, headers: DownloadHeaders) -> str | None:
        """A URL at which the store itself gives the file, a secret; None where downloads pass through here.

        Raises as `download` does.
        """
        if self.remote is None or self.remote.redirect_seconds is None:
            return None
        store, seconds = self.remote.store, self.remote.redirect_seconds
        location = await self._locate(credential, address)
        file = readable(location, credential)
        require_whole(file)
        self._note_use(location, downloaded=True)
        with blob_expected(file):
            return await self._run(lambda: store.download_url(file.sha256, seconds, *headers(file)))

    def source(self, file: StoredFile, reader: BlobReader) -> BlobSource:
        """The reader of a file, for use on the event loop."""
        self._in_flight("down", 1)
        return BlobSource(file, reader, self.executor, lambda: self._in_flight("down", -1))

    def _recent(self, credential: str | None, address: Address) -> tuple[Location | None, int | None]:
        location, generation = self._locations.get((credential_digest(credential), address))
        if location is not None and location.role_ends_at is not None and location.role_ends_at <= now():
            return None, generation
        return location, generation

    def _remember(self, credential: str | None, address: Address, location: Location, generation: int | None) -> None:
        # What strangers make up, or may not see, would drive out the rest.
        if location.token is not None or (credential is None and _is_public_file(location)):
            self._locations.put((credential_digest(credential), address), location, generation)

    def _note_use(self, location: Location, *, downloaded: bool = False) -> None:
        """Note that a token opened the location, and perhaps that a file of its package was downloaded."""
        if location.token is not None:
            self.database.usage.tokens.note(location.token.token_id)
        if downloaded and location.package_id is not None:
            self.database.usage.packages.note(location.package_id)

    async def _keep(
        self, credential: str | None, address: Address, content: Content, precondition: Precondition, status: str | None
    ) -> StoredFile:
        """Record a file whose bytes are durable."""

        def work(registry: Registry) -> StoredFile:
            registry.locks.blob(content.sha256)
            location = find_to_change(registry, credential, address)
            caller = judge(location, credential, Action.WRITE)
            registry.act(caller, location.project)
            copies = []
            if location.linked:
                copies = following.hold(registry, location, address.owner, address.name)
                location = find(registry, credential, address)
            precondition(location.file)
            if self.store.stat(content.sha256) is None:
                content.publish_again()
            limit, project = limit_of(location.storage_limit, self.project_quota), location.project
            with within(registry, project.id, limit) if project else nullcontext():
                file = record(registry, location, caller, address, content, status)
                following.pass_on(registry, copies, file, caller)
                return file

        return await self.database.write(work)

    async def _room(self, location: Location, address: Address) -> Room | None:
        """What the project has left for a file at the address; None without a limit."""
        limit, project = limit_of(location.storage_limit, self.project_quota), location.project
        if not limit or project is None:
            return None
        replaced = location.file.size if location.file else 0

        def work(registry: Registry) -> Room:
            copies = following.copies_beside(registry, location, address.owner, address.name)
            return room_for(registry, project.id, limit, replaced, copies)

        return await self.database.read_file(work)

    async def _place(self, credential: str | None, address: Address) -> Place:
        location = await self._locate(credential, address)
        caller = judge(location, credential, Action.WRITE)
        if location.project is None or location.owner_id is None or caller.user_id is None:
            raise NotFound
        return Place(location.project.id, address.owner.kind.value, location.owner_id, address.name, caller.user_id)

    async def _locate(self, credential: str | None, address: Address) -> Location:
        location, generation = self._recent(credential, address)
        if location is None:
            location = await self.database.read_file(lambda registry: find(registry, credential, address))
            self._remember(credential, address, location, generation)
        return location

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, work)

    def _find_and_open(self, registry: Registry, credential: str | None, address: Address) -> tuple[Location, Download]:
        location = find(registry, credential, address)
        return location, open_file(self.store, readable(location, credential))


def _published(data: UploadedData) -> UploadedData:
    data.publish()
    return data


def _is_public_file(location: Location) -> bool:
    return location.file is not None and location.project is not None and sees(ANONYMOUS, location.project)
