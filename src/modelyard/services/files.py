"""The three operations of the file API: authorize, upload, download."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from aiofiles.base import wrap

from modelyard.access.identity import ANONYMOUS, Identity, identify, require_scope
from modelyard.access.policy import Action, require
from modelyard.access.tokens import digest_of
from modelyard.blobs.store import BlobMissing, BlobReader, BlobStore
from modelyard.clock import now
from modelyard.errors import FileNotFound, InternalError, NotFound
from modelyard.registry.engine import Database
from modelyard.registry.locations import Location, StoredFile
from modelyard.registry.repository import Registry
from modelyard.registry.tables import PackageFile
from modelyard.services import packages
from modelyard.services.ingest import Expectations, FileTooLarge, Ingest, Piece
from modelyard.services.recent import MAX_CONTENT_BYTES, MAX_LOCATIONS, Recent, RecentInGeneration
from modelyard.wire.paths import OwnerRef, ProjectRef

log = structlog.get_logger()

IO_THREADS = 16
SMALL_FILE_BYTES = 128 * 1024  # read within the lookup's own thread hop

Precondition = Callable[[StoredFile | None], None]  # raises when the current file forbids the request


@dataclass(frozen=True, slots=True)
class Address:
    """A file in the API: `/projects/:id/packages/ml_models/:model_version_id/files/(*path/):file_name`, decoded."""

    project: ProjectRef
    owner: OwnerRef
    name: str


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is open for reading, whoever takes it closes `reader`; or all of a small one, then there is none."""

    file: StoredFile
    reader: BlobReader | None
    content: bytes | None

    def close(self) -> None:
        """Close the reader, if there is one."""
        if self.reader is not None:
            self.reader.close()


class BlobSource:
    """A blob reader whose blocks are read on the service's threads."""

    def __init__(self, reader: BlobReader, executor: ThreadPoolExecutor) -> None:
        self._reader = reader
        self._read = wrap(reader.read)
        self._executor = executor

    async def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset` on."""
        return await self._read(offset, length, executor=self._executor)

    async def close(self) -> None:
        """Close the reader; quick, as nothing is flushed."""
        self._reader.close()


class FileService:
    """Moves files between clients and the blob store, under the registry's rules."""

    def __init__(self, database: Database, store: BlobStore, max_file_size: int) -> None:
        self.database = database
        self.store = store
        self.max_file_size = max_file_size
        self.executor = ThreadPoolExecutor(IO_THREADS, thread_name_prefix="blob-io")
        self._locations = RecentInGeneration[Location](MAX_LOCATIONS, database.generation)
        self._contents = Recent[bytes](MAX_CONTENT_BYTES, len)  # by digest, so that they always hold

    def close(self) -> None:
        """Let running reads and writes end."""
        self.executor.shutdown()

    async def authorize(self, credential: str | None, address: Address, size: int | None) -> StoredFile | None:
        """Check all that an upload of `size` bytes would check before its body; the current file or None.

        Raises TokenError, Unauthorized, ProjectNotFound, Forbidden, NotFound and FileTooLarge, in the order of checks.
        """
        location, generation = self._recent(credential, address)
        if location is None:
            location = await self.database.read(lambda registry: _find(registry, credential, address))
            self._remember(credential, address, location, generation)
        _judge(location, credential, Action.WRITE)
        if size is not None and self.max_file_size and size > self.max_file_size:
            raise FileTooLarge
        return location.file

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
        try:
            sha256 = await ingest.receive(pieces)

            def record(registry: Registry) -> StoredFile:
                registry.locks.blob(sha256)
                location = _find_to_change(registry, credential, address)
                caller = _judge(location, credential, Action.WRITE)
                precondition(location.file)
                if self.store.stat(sha256) is None:
                    ingest.publish_again()
                return _record(registry, location, caller, address, sha256, ingest.size, status)

            return await self.database.write(record)
        finally:
            await ingest.close()

    async def download(self, credential: str | None, address: Address) -> Download:
        """Open a file for whoever may read it. Raises as `authorize` does, and FileNotFound."""
        recent, generation = self._recent(credential, address)
        content = self._contents.get(recent.file.sha256) if recent and recent.file else None
        if recent is not None and content is not None:
            return Download(_readable(recent, credential), None, content)
        location, opened = await self.database.read(lambda registry: self._open(registry, credential, address))
        self._remember(credential, address, location, generation)
        if opened.content is not None:
            self._contents.put(opened.file.sha256, opened.content)
        return opened

    def source(self, reader: BlobReader) -> BlobSource:
        """The reader, for use on the event loop."""
        return BlobSource(reader, self.executor)

    def _recent(self, credential: str | None, address: Address) -> tuple[Location | None, int | None]:
        location, generation = self._locations.get((_digest(credential), address))
        if location is not None and location.role_ends_at is not None and location.role_ends_at <= now():
            return None, generation
        return location, generation

    def _remember(self, credential: str | None, address: Address, location: Location, generation: int | None) -> None:
        if location.token is not None or credential is None:  # what strangers make up would drive out the rest
            self._locations.put((_digest(credential), address), location, generation)

    def _open(self, registry: Registry, credential: str | None, address: Address) -> tuple[Location, Download]:
        location = _find(registry, credential, address)
        file = _readable(location, credential)
        try:
            reader = self.store.open(file.sha256)
        except BlobMissing as error:
            log.error("blob missing", sha256=file.sha256, file_id=file.id, advice="run modelyard check")
            raise NotFound from error
        if reader.size != file.size:
            reader.close()
            log.error("blob damaged", sha256=file.sha256, file_id=file.id, advice="run modelyard check --read")
            raise InternalError
        if file.size > SMALL_FILE_BYTES:
            return location, Download(file, reader, None)
        with reader:
            return location, Download(file, None, reader.read(0, file.size))


def _find(registry: Registry, credential: str | None, address: Address) -> Location:
    return registry.locations.find(_digest(credential), address.project, address.owner, address.name)


def _find_to_change(registry: Registry, credential: str | None, address: Address) -> Location:
    """What lies at an address, where nobody else changes the file of that name from now on.

    Without a package there is nothing to hold yet; then a constraint lets only one writer make it.
    """
    location = _find(registry, credential, address)
    if location.project is None:
        return location
    part = f"file {location.package_id} {address.name}"
    return _find(registry, credential, address) if registry.locks.project(location.project.id, part) else location


def _digest(credential: str | None) -> str | None:
    return digest_of(credential) if credential is not None else None


def _judge(location: Location, credential: str | None, action: Action) -> Identity:
    """Who asks, if they may do `action` at the location; else the refusal that is due."""
    caller = identify(location.token, now()) if credential is not None else ANONYMOUS
    require_scope(caller, writing=action is not Action.READ)
    require(caller, location.project, action)
    if location.owner_id is None:
        raise NotFound
    return caller


def _readable(location: Location, credential: str | None) -> StoredFile:
    """The file at the location, if the caller may read it; else the refusal that is due."""
    _judge(location, credential, Action.READ)
    if location.file is None:
        raise FileNotFound
    return location.file


def _record(
    registry: Registry,
    location: Location,
    caller: Identity,
    address: Address,
    sha256: str,
    size: int,
    status: str | None,
) -> StoredFile:
    package = packages.ensure(registry, location, address.owner, caller)
    if status is not None:
        package.status = status
    if location.file is not None and location.file.sha256 == sha256:
        return location.file
    registry.blobs.ensure(sha256, size)
    file = registry.packages.add_file(
        PackageFile(package_id=package.id, name=address.name, sha256=sha256, size=size, creator_id=caller.user_id)
    )
    return StoredFile(file.id, file.name, sha256, size, file.created_at)
