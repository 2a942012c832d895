"""Files that are open for reading."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from aiofiles.base import wrap

from modelyard.blobs.store import BlobMissing, BlobReader, BlobStore
from modelyard.errors import InternalError, NotFound
from modelyard.registry.locations import StoredFile

log = structlog.get_logger()

SMALL_FILE_BYTES = 128 * 1024  # read within the lookup's own thread hop


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


def open_file(store: BlobStore, file: StoredFile) -> Download:
    """Open a file; a small one is read whole. Raises NotFound, InternalError where its bytes are not as recorded."""
    with blob_expected(file):
        reader = store.open(file.sha256)
    if reader.size != file.size:
        reader.close()
        log.error("blob damaged", sha256=file.sha256, file_id=file.id, advice="run modelyard check --read")
        raise InternalError
    if file.size > SMALL_FILE_BYTES:
        return Download(file, reader, None)
    with reader:
        return Download(file, None, reader.read(0, file.size))


@contextmanager
def blob_expected(file: StoredFile) -> Iterator[None]:
    """Answer 404, and say in the log, that the bytes of a file are not there."""
    try:
        yield
    except BlobMissing as error:
        log.error("blob missing", sha256=file.sha256, file_id=file.id, advice="run modelyard check")
        raise NotFound from error
