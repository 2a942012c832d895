"""A push: what is to be sent is found and checked first, then goes up by several connections at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from modelyard_client.catalog import Catalog, Place
from modelyard_client.collecting import Work, collected
from modelyard_client.errors import Mismatch, NotFound, UsageMistake
from modelyard_client.http.pace import Pace
from modelyard_client.http.transport import Transport, understood
from modelyard_client.local.digests import Digests
from modelyard_client.local.files import LocalFile
from modelyard_client.progress import Progress
from modelyard_client.push.remembering import prune
from modelyard_client.push.resuming import LargeUploads
from modelyard_client.push.sending import SmallUploads
from modelyard_client.results import Moved, RemoteFile, Transfer
from modelyard_client.targets import Target

SMALL_BYTES = 4 << 20  # which is sent in one request, from memory


class PushOptions(NamedTuple):
    """How files are sent; `limit`: bytes a second."""

    create: bool = False
    dry_run: bool = False
    jobs: int = 8
    limit: int | None = None


class Keeping(NamedTuple):
    """Where things are remembered on this machine."""

    uploads: Path
    cache: Path


class Push:
    """Sends files to one target."""

    def __init__(self, transport: Transport, progress: Progress, options: PushOptions, keeping: Keeping) -> None:
        pace = Pace(transport.stop, options.limit)
        self.transport = transport
        self.progress = progress
        self.options = options
        self.keeping = keeping
        self.catalog = Catalog(transport)
        self._stop = transport.stop
        self._small = SmallUploads(transport, pace, progress)
        self._large = LargeUploads(transport, pace, progress, keeping.uploads)
        self._digests = Digests(keeping.cache)

    def run(self, files: Sequence[LocalFile], target: Target) -> Transfer:
        """Send files. Raises Partly, and ClientError where none arrived or all have to end."""
        begun = time.monotonic()
        try:
            if not files:
                raise UsageMistake("There is no file to send")
            place = self._place(target)
            there = {file.path: file for file in self._there(place, files)} if place else {}
            self.progress.planned(len(files), sum(file.size for file in files))
            prune(self.keeping.uploads)
            largest_first = sorted(files, key=lambda file: -file.size)
            do = self._planned if self.options.dry_run else self._sent
            work = [Work(file.name, partial(do, place, file, there)) for file in largest_first]
            moved, failed = collected(work, self.options.jobs, self._stop, self.progress)
        finally:
            self._digests.close()
            self.progress.ended()
        seconds = time.monotonic() - begun
        return Transfer(str(target), moved, failed, sum(file.bytes for file in moved), seconds)

    def _place(self, target: Target) -> Place | None:
        """Where the files go; None where that is to be made, and nothing is to be done."""
        if not self.options.create:
            return self._existing(target)
        return self.catalog.place_or_none(target) if self.options.dry_run else self.catalog.create(target)

    def _existing(self, target: Target) -> Place:
        try:
            return self.catalog.place(target)
        except NotFound as error:
            made = "" if target.is_candidate else ": --create makes project, model and version"
            raise NotFound(f"{error.sentence}{made}") from error

    def _there(self, place: Place, files: Sequence[LocalFile]) -> list[RemoteFile]:
        """What may be there of these files: a single one is asked for by itself, as a list takes longer.

        Raises UsageMistake for one that is too large, and as the server does for whoever may not send any.
        """
        largest = self._authorized(place, max(files, key=lambda file: file.size))
        if len(files) == 1:
            return [] if largest is None else [largest]
        return self.catalog.files(place)

    def _authorized(self, place: Place, file: LocalFile) -> RemoteFile | None:
        """What the server has of that name, as it says where it would be asked to take it. Raises UsageMistake."""
        answer = self.transport.call("PUT", f"{place.file(file.name)}/authorize").json()
        with understood():
            most, exists = int(answer.get("MaximumSize") or 0), answer.get("Exists")
            there = RemoteFile(file.name, int(exists["Size"]), str(exists["SHA256"])) if exists else None
        if most and file.size > most:
            raise UsageMistake(f"{file.path} has {file.size} bytes, and a file has {most} at most here")
        return there

    def _sent(self, place: Place | None, file: LocalFile, there: Mapping[str, RemoteFile]) -> Moved:
        assert place is not None  # noqa: S101 - it is made where something is to be done
        known = None
        if (other := there.get(file.name)) is not None and other.size == file.size:
            known = self._digests.of(file, self._stop, self.progress)
            if self._authorized(place, file) == RemoteFile(file.name, file.size, known):  # and whole
                self.progress.spared(file.size)
                return Moved(file.name, file.size, known, "present", 0)
        if file.size <= SMALL_BYTES:
            sha256, count = self._small.send(place, file)
        else:
            known = known or self._digests.known(file.fingerprint)
            try:
                sha256, count = self._large.send(place, file, known)
            except Mismatch:
                self._digests.forget(file.fingerprint)
                raise
        self._digests.remember(file.fingerprint, sha256)
        return Moved(file.name, file.size, sha256, "sent", count)

    def _planned(self, place: Place | None, file: LocalFile, there: Mapping[str, RemoteFile]) -> Moved:
        del place
        other = there.get(file.name)
        if (
            other is not None
            and other.size == file.size
            and other.sha256 == self._digests.of(file, self._stop, self.progress)
        ):
            return Moved(file.name, file.size, other.sha256, "present", 0)
        return Moved(file.name, file.size, None, "planned", 0)
