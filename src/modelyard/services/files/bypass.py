"""The ways past this server: uploads that clients carry out at the store, and downloads that others send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from modelyard.access.promises import Place
from modelyard.blobs.remote import UploadedData
from modelyard.errors import BadRequest, NotFound
from modelyard.registry.files.locations import StoredFile
from modelyard.services.files.ingest import Expectations
from modelyard.services.files.locating import FileLookup, FileRequest
from modelyard.services.files.lookup import Found
from modelyard.services.files.opening import blob_expected, require_whole
from modelyard.services.files.recording import Arrival, Content, Precondition, Recorder
from modelyard.services.files.remote import PASSING, Offer, Remote
from modelyard.services.files.uploads import Permit
from modelyard.services.files.uses import Uses
from modelyard.terms.digests import DigestCheck

ProxyPath = Callable[[str], str]  # the path by which a proxy in front sends a blob itself, by its digest
DownloadHeaders = Callable[[StoredFile], tuple[str, str]]  # Content-Type and Content-Disposition


class Bypass:
    """Offers uploads at the store and takes them over, and gives out where the store itself hands files out."""

    def __init__(
        self,
        lookup: FileLookup,
        uses: Uses,
        recorder: Recorder,
        remote: Remote | None,
        executor: Executor,
        verifiers: Executor,
        proxy_path: ProxyPath | None,
    ) -> None:
        self.remote = remote  # None: clients cannot reach the store
        self.proxy_path = proxy_path
        self._lookup = lookup
        self._uses = uses
        self._recorder = recorder
        self._executor = executor
        self._verifiers = verifiers

    async def offer(self, permit: Permit, size: int, sha256: str | None) -> Offer | None:
        """An upload of `size` bytes past this server; None where there is no other way."""
        remote = self.remote
        if remote is None:
            return None
        place = _place(permit)
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: remote.offer(place, size, sha256)
        )

    async def take_over(
        self,
        permit: Permit,
        offer_id: str,
        expectations: Expectations,
        precondition: Precondition,
        status: str | None,
    ) -> StoredFile:
        """Keep a file that came by an offered upload, after it was authorized once more.

        Raises as `Remote.verified` does, and as `Recorder.keep`.
        """
        remote = self.remote
        if remote is None:
            raise BadRequest(PASSING)
        check = DigestCheck(expectations.representation)
        if check.algorithms:
            raise BadRequest("Only sha-256 is verified of what does not pass through this server")
        place = _place(permit)
        # On threads of their own: reading 100 GB back takes minutes, and all others' reads and writes would wait.
        data = await asyncio.get_running_loop().run_in_executor(
            self._verifiers, lambda: _published(remote.verified(place, offer_id, permit.hold, check))
        )
        content = Content(data.digest(), data.size, data.publish)
        located = permit.located
        arrival = Arrival(located.request, content, precondition, status, located.location)
        return await self._recorder.keep(arrival)

    @property
    def redirects(self) -> bool:
        """Whether there are URLs at which the store itself gives files."""
        return self.remote is not None and self.remote.redirect_seconds is not None

    async def download_url(self, request: FileRequest, headers: DownloadHeaders) -> str | None:
        """A URL at which the store itself gives the file, a secret; None where downloads pass through here.

        Raises as `Downloads.open` does.
        """
        if not self.redirects:
            return None
        located = await self._lookup.find(request)
        return await self.url_of(located, located.readable(), headers)

    async def url_of(self, located: Found, file: StoredFile, headers: DownloadHeaders) -> str | None:
        """`download_url` of a file that was located, and found readable."""
        if self.remote is None or self.remote.redirect_seconds is None:
            return None
        store, seconds = self.remote.store, self.remote.redirect_seconds
        require_whole(file)
        self._uses.note(located, downloaded=True)
        with blob_expected(file):
            return await asyncio.get_running_loop().run_in_executor(
                self._executor, lambda: store.download_url(file.sha256, seconds, *headers(file))
            )


def _published(data: UploadedData) -> UploadedData:
    data.publish()
    return data


def _place(permit: Permit) -> Place:
    address, location = permit.located.request.address, permit.located.location
    user_id = permit.caller.user_id
    if location.project is None or location.owner_id is None or user_id is None:
        raise NotFound
    return Place(location.project.id, address.owner.kind.value, location.owner_id, address.name, user_id)
