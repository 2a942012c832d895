"""A push: what is to be sent is found and checked first, then goes up by several connections at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from modelyard_client.catalog import Catalog, Place
from modelyard_client.collecting import FOR_ALL, Work, collected
from modelyard_client.errors import ClientError, Mismatch, NotFound, UsageMistake
from modelyard_client.http.pace import Pace
from modelyard_client.http.transport import Transport, understood
from modelyard_client.local.digests import Digests
from modelyard_client.local.files import LocalFile
from modelyard_client.progress import Progress
from modelyard_client.push.remembering import prune
from modelyard_client.push.resuming import LargeUploads
from modelyard_client.push.sending import SmallUploads
from modelyard_client.push.together import Together
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
        self._together = Together(transport, pace, progress)
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
            work = self._work(place, sorted(files, key=lambda file: -file.size), there)
            moved, failed = collected(work, self.options.jobs, self._stop, self.progress)
        finally:
            self._digests.close()
            self.progress.ended()
        seconds = time.monotonic() - begun
        return Transfer(str(target), moved, failed, sum(file.bytes for file in moved), seconds)

    def _work(self, place: Place | None, files: Sequence[LocalFile], there: Mapping[str, RemoteFile]) -> list[Work]:
        """What there is to do, in the order of the files; those that go together come last."""
        if place is None or self.options.dry_run:
            return [Work(file.name, partial(self._planned, file, there)) for file in files]
        new = [file for file in files if not _may_be_there(file, there)]
        batches = self._together.batches(place, new)
        batched = {file.name for batch in batches for file in batch}
        alone = [self._alone(place, file, there) for file in files if file.name not in batched]
        return alone + [Work(batch[0].name, partial(self._sent_together, place, batch, there)) for batch in batches]

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

    def _sent_together(self, place: Place, batch: Sequence[LocalFile], there: Mapping[str, RemoteFile]) -> list[Work]:
        """Send a batch. Where it is refused, each file goes by itself, so that what refuses one is told of that one."""
        try:
            sent = self._together.send(place, batch) if self._together.works else []
        except FOR_ALL:
            raise
        except ClientError:
            sent = []
        for each in sent:
            self._digests.remember(each.file.fingerprint, each.sha256)
        done = [Moved(each.file.name, each.file.size, each.sha256, "sent", each.bytes) for each in sent]
        return [Work(moved.path, partial(_same, moved)) for moved in done] or [
            self._alone(place, file, there) for file in batch
        ]

    def _alone(self, place: Place, file: LocalFile, there: Mapping[str, RemoteFile]) -> Work:
        return Work(file.name, partial(self._sent, place, file, there))

    def _sent(self, place: Place, file: LocalFile, there: Mapping[str, RemoteFile]) -> Moved:
        known = None
        if _may_be_there(file, there):
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

    def _planned(self, file: LocalFile, there: Mapping[str, RemoteFile]) -> Moved:
        other = there.get(file.name)
        if (
            other is not None
            and other.size == file.size
            and other.sha256 == self._digests.of(file, self._stop, self.progress)
        ):
            return Moved(file.name, file.size, other.sha256, "present", 0)
        return Moved(file.name, file.size, None, "planned", 0)


def _may_be_there(file: LocalFile, there: Mapping[str, RemoteFile]) -> bool:
    """Whether the server has a file of that name and size, so that to compare is worth it."""
    return file.name in there and there[file.name].size == file.size


def _same(moved: Moved) -> Moved:
    return moved
