"""A version, a run or a folder of one as one file: an archive that is made while it is sent."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from modelyard.access.identity import Identity
from modelyard.registry.files.locations import StoredFile
from modelyard.registry.repository import Registry
from modelyard.routes.http.browsing import HEAD
from modelyard.routes.http.transfers import files_of
from modelyard.routes.pages.holders import at_both, folder_in, hold, request_for
from modelyard.routes.pages.security import page_headers
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.files.locating import Located
from modelyard.services.files.transfers import Transfers
from modelyard.services.files.trees import files_below
from modelyard.wire.disposition import attachment
from modelyard.wire.ranges import ByteRange
from modelyard.wire.send import blocks, until_disconnect
from modelyard.wire.zip_archive import CONTENT_TYPE, Archive, Member

subject = Subject()

GATHERED_BYTES = 64 * 1024


@at_both(subject, "/archive.zip")
async def download(request: Request) -> Response:
    """All files of a version or a run; with `folder`, those of a folder, whose names begin below it."""
    visit, files = Visit(request), files_of(request)
    folder = folder_in(visit.query.get("folder", ""))

    def work(registry: Registry, caller: Identity) -> tuple[str, Sequence[StoredFile]]:
        held = hold(registry, caller, visit)
        return held.label, files_below(registry, held.package.id if held.package else None, folder)

    label, found = await visit.find(work)
    located = await files.lookup.find(request_for(visit, found[0].name))
    located.readable()
    title = folder.rpartition("/")[2] or label.replace("/", "-")
    cut = len(folder) + 1 if folder else 0
    archive = Archive([Member(file.name[cut:].encode(), file.size, file.created_at // 1000) for file in found])
    headers = page_headers(visit.secure) | {
        "Content-Type": CONTENT_TYPE,
        "Content-Length": str(archive.length),
        "Accept-Ranges": "none",
        "Content-Disposition": attachment(f"{title}.zip"),
    }
    if HEAD in request.scope:
        return Response(headers=headers)
    return ArchiveResponse(headers, archive, found, located, files)


class ArchiveResponse(Response):
    """An archive on its way; one file of it is open at a time. What goes wrong with one cuts it short."""

    def __init__(
        self,
        headers: dict[str, str],
        archive: Archive,
        contents: Sequence[StoredFile],
        located: Located,
        files: Transfers,
    ) -> None:
        super().__init__()
        self.init_headers(headers)
        self._archive = archive
        self._contents = contents
        self._located = located
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the archive; stop early when the client goes away."""
        del scope
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await until_disconnect(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        out, checksums = _Outgoing(send), []
        for member, file in zip(self._archive.members, self._contents, strict=True):
            await out.put(member.head)
            crc = 0
            async with aclosing(self._bytes_of(file)) as stream:
                async for block in stream:
                    crc = await _crc32(block, crc)
                    await out.put(block)
            checksums.append(crc)
            await out.put(member.tail(crc))
        for piece in self._archive.directory(checksums):
            await out.put(piece)
        await out.end()

    async def _bytes_of(self, file: StoredFile) -> AsyncGenerator[bytes]:
        opened = await self._files.downloads.hand_out(self._located, file)
        if opened.reader is None:
            yield opened.content or b""
            return
        source = self._files.downloads.source(file, opened.reader)
        try:
            async with aclosing(blocks(source, ByteRange(0, file.size))) as stream:
                async for block in stream:
                    yield block
        finally:
            await source.close()


class _Outgoing:
    """Gathers what is small: the heads and bytes of ten thousand small files are no thirty thousand writes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._gathered = bytearray()

    async def put(self, data: bytes) -> None:
        """Send it, by and by."""
        if len(data) >= GATHERED_BYTES:
            await self._flush()
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            return
        self._gathered += data
        if len(self._gathered) >= GATHERED_BYTES:
            await self._flush()

    async def end(self) -> None:
        """Send what is left."""
        await self._send({"type": "http.response.body", "body": bytes(self._gathered)})

    async def _flush(self) -> None:
        if self._gathered:
            gathered, self._gathered = bytes(self._gathered), bytearray()
            await self._send({"type": "http.response.body", "body": gathered, "more_body": True})


async def _crc32(block: bytes, crc: int) -> int:
    """The checksum of what came before and of a block, which is computed elsewhere where it takes its time."""
    if len(block) <= GATHERED_BYTES:
        return zlib.crc32(block, crc)
    return await asyncio.to_thread(zlib.crc32, block, crc)
