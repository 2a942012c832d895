"""Files that are open for reading."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from aiofiles.base import wrap

from modelyard.blobs.store import BlobError, BlobMissing, BlobReader, BlobStore, SendingReader
from modelyard.errors import InternalError, NotFound, ShortRead
from modelyard.registry.files.locations import StoredFile

log = structlog.get_logger()

SMALL_FILE_BYTES = 128 * 1024  # read within the lookup's own thread hop, and hashed in 0.2 ms at most
LEAST_SENT_BYTES = 64 * 1024  # at first, and then as many as went before: a slow client's wait in memory
ToSocket = Callable[[Callable[[int, int], int], int], int]  # see `wire.send.Outlet.send`
RESTORE = "upload the file again, or restore its blob from a backup"


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
    """A blob reader whose blocks are read on the service's threads. What goes wrong is said in the log."""

    def __init__(
        self, file: StoredFile, reader: BlobReader, executor: ThreadPoolExecutor, closed: Callable[[], None]
    ) -> None:
        self._file = file
        self._reader = reader
        self._read = wrap(reader.read)
        self._executor = executor
        self._closed = closed

    async def read(self, offset: int, length: int) -> bytes:
        """The `length` bytes from `offset` on. Raises ShortRead where they cannot be had."""
        try:
            block: bytes = await self._read(offset, length, executor=self._executor)
        except BlobError as error:
            raise self._cut_short(str(error)) from error
        if len(block) < length:
            raise self._cut_short(f"the blob ends at {offset + len(block)}")
        return block

    async def send(self, to_socket: ToSocket, offset: int, length: int) -> int | None:
        """Send up to `length` bytes from `offset` on: how many, 0 for want of room, None where they must be read."""
        reader = self._reader
        if not isinstance(reader, SendingReader):
            return None

        def some(socket: int, sent: int) -> int:
            return reader.send(socket, offset + sent, min(length - sent, max(LEAST_SENT_BYTES, sent)))

        def send() -> int | None:
            try:
                return to_socket(some, length)
            except (OSError, EOFError, BlobError):  # of the socket or the blob: who reads and writes is told of which
                return None

        return await asyncio.get_running_loop().run_in_executor(self._executor, send)

    async def close(self) -> None:
        """Close the reader soon, once: a read that nobody waits for any more may still be running."""
        self._executor.submit(self._reader.close)
        self._closed()

    def _cut_short(self, reason: str) -> ShortRead:
        log.error("download cut short", **_facts(self._file), error=reason, advice="run modelyard check --read")
        return ShortRead(reason)


def open_file(store: BlobStore, file: StoredFile) -> Download:
    """Open a file; a small one is read whole, and held against its digest.

    Raises NotFound, InternalError where its bytes are not as recorded, and StoreUnavailable.
    """
    require_whole(file)
    with blob_expected(file):
        reader = store.open(file.sha256)
    if reader.size != file.size:
        reader.close()
        raise _damaged(file)
    if file.size > SMALL_FILE_BYTES:
        return Download(file, reader, None)
    with reader:
        content = reader.read(0, file.size)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise _damaged(file)
    return Download(file, None, content)


def require_whole(file: StoredFile) -> None:
    """Raise InternalError, and say it in the log, if the file's bytes are known to be damaged."""
    if file.damaged:
        raise _damaged(file)


@contextmanager
def blob_expected(file: StoredFile) -> Iterator[None]:
    """Answer 404, and say in the log, that the bytes of a file are not there."""
    try:
        yield
    except BlobMissing as error:
        log.error("blob missing", **_facts(file), advice=f"{RESTORE}; modelyard check lists all that are missing")
        raise NotFound from error


def _damaged(file: StoredFile) -> InternalError:
    log.error("blob damaged", **_facts(file), advice=f"{RESTORE}; modelyard check --read lists all that are damaged")
    return InternalError()


def _facts(file: StoredFile) -> dict[str, object]:
    return {"sha256": file.sha256, "file_id": file.id}
