"""Handing files out: opened for whoever may read them, small ones from memory where they were read lately."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from modelyard.blobs.store import BlobReader, BlobStore
from modelyard.registry.files.locations import StoredFile
from modelyard.services.files.locating import FileLookup, FileRequest, Located
from modelyard.services.files.lookup import Found
from modelyard.services.files.opening import BlobSource, Download, open_file
from modelyard.services.files.recent import MAX_CONTENT_BYTES, Recent
from modelyard.services.files.uses import InFlight, Uses


class Downloads:
    """Opens files, and remembers the bytes of small ones by their digest, so that they always hold."""

    def __init__(
        self,
        lookup: FileLookup,
        uses: Uses,
        store: BlobStore,
        executor: ThreadPoolExecutor,
        in_flight: InFlight,
        *,
        over_network: bool,
    ) -> None:
        self._lookup = lookup
        self._uses = uses
        self._store = store
        self._executor = executor
        self._in_flight = in_flight
        self._over_network = over_network  # the store: it should not hold up the database's threads
        self._contents = Recent[bytes](MAX_CONTENT_BYTES, len)

    async def open(self, request: FileRequest, *, counts: bool = True) -> Download:
        """Open a file for whoever may read it. Raises as `Located.readable` does, and as `open_file`.

        It `counts` as a download unless only the headers are asked for.
        """
        located, opened = await self._open(request)
        self._uses.note(located, downloaded=counts)
        return opened

    async def hand_out(self, located: Found, file: StoredFile) -> Download:
        """Open the file that was located, and found readable, for a download. Raises as `open_file`."""
        opened = await self._handed_out(file)
        self._uses.note(located, downloaded=True)
        return opened

    def source(self, file: StoredFile, reader: BlobReader) -> BlobSource:
        """The reader of a file, for use on the event loop."""
        self._in_flight("down", 1)
        return BlobSource(file, reader, self._executor, lambda: self._in_flight("down", -1))

    async def _open(self, request: FileRequest) -> tuple[Located, Download]:
        recent = await self._lookup.recent(request)
        content = self._contents.get(recent.location.file.sha256) if recent and recent.location.file else None
        if recent is not None and content is not None:
            return recent, Download(recent.readable(), None, content)
        if self._over_network:
            located = recent or await self._lookup.find(request)
            return located, await self._handed_out(located.readable())
        located, opened = await self._lookup.find_and(request, self._opened, Download.close)
        return located, self._remembering(opened)

    async def _handed_out(self, file: StoredFile) -> Download:
        if (content := self._contents.get(file.sha256)) is not None:
            return Download(file, None, content)
        loop = asyncio.get_running_loop()
        return self._remembering(await loop.run_in_executor(self._executor, lambda: open_file(self._store, file)))

    def _remembering(self, opened: Download) -> Download:
        if opened.content is not None:
            self._contents.put(opened.file.sha256, opened.content)
        return opened

    def _opened(self, located: Located) -> Download:
        return open_file(self._store, located.readable())
