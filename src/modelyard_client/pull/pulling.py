"""A pull: what is there already is found first, then the rest comes down by several connections at once."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from modelyard_client.catalog import Catalog, Place
from modelyard_client.collecting import Work, collected
from modelyard_client.errors import ClientError, Mismatch, NoRoom, NotFound
from modelyard_client.http.pace import Pace
from modelyard_client.http.transport import Transport
from modelyard_client.local.blobs import Blobs
from modelyard_client.local.digests import Digests
from modelyard_client.local.files import Fingerprint, LocalFile, local_errors
from modelyard_client.local.patterns import Selection
from modelyard_client.local.places import PARTIALS
from modelyard_client.names import require_inside
from modelyard_client.progress import Progress
from modelyard_client.pull.fetching import SMALL_BYTES, Fetch, SmallFetch
from modelyard_client.pull.leaving import prune
from modelyard_client.pull.ranges import Ranges
from modelyard_client.results import Moved, RemoteFile, Transfer
from modelyard_client.targets import Target


class PullOptions(NamedTuple):
    """Which files are brought, and how; `limit`: bytes a second.

    `cached`: what comes is kept, and taken from what was kept; `offline`: without a request, from what was kept alone.
    """

    names: Sequence[str] = ()
    selection: Selection = Selection()
    dry_run: bool = False
    jobs: int = 8
    limit: int | None = None
    cached: bool = False
    offline: bool = False


class Pull:
    """Brings files of one target into a folder."""

    def __init__(self, transport: Transport, progress: Progress, options: PullOptions, cache: Path) -> None:
        self.transport = transport
        self.progress = progress
        self.options = options
        self.cache = cache
        self._blobs = Blobs(cache)
        self._fetches: list[Fetch] = []

    def run(self, target: Target, folder: Path) -> Transfer:
        """Bring files. Raises Partly, and ClientError where none arrived or all have to end."""
        begun = time.monotonic()
        digests = Digests(self.cache)
        try:
            place, listed = self._listed(target)
            files = chosen(listed, self.options.names, self.options.selection)
            for file in files:
                require_inside(file.path, windows=os.name == "nt")
            self.progress.planned(len(files), sum(file.size for file in files))
            work = self._work(place, files, folder, digests)
            moved, failed = collected(work, self.options.jobs, self.transport.stop, self.progress)
            for each in moved:
                self._remember(folder / each.path, each, digests)
            if not self.options.dry_run:
                prune(folder)
        finally:
            for fetch in self._fetches:
                fetch.leave()
            digests.close()
            self.progress.ended()
        seconds = time.monotonic() - begun
        return Transfer(str(target), moved, failed, sum(file.bytes for file in moved), seconds)

    def _listed(self, target: Target) -> tuple[Place | None, list[RemoteFile]]:
        """Where a target's files are, None without asking, and what they are."""
        named = f"{target} of {self.transport.login.url}"
        if self.options.offline:
            return None, self._blobs.files(named)
        catalog = Catalog(self.transport)
        place = catalog.place(target)
        files = catalog.files(place)
        if self.options.cached:
            self._blobs.remember(named, files)
        return place, files

    def _work(self, place: Place | None, files: Sequence[RemoteFile], folder: Path, digests: Digests) -> list[Work]:
        """What is to be done, the largest files first. Raises NoRoom before anything comes that has no room."""
        work, wanted = [], []
        for file in files:
            if self._is_there(folder / file.path, file, digests):
                self.progress.spared(file.size)
                work.append(Work(file.path, partial(_done, file, "present")))
            elif self.options.dry_run:
                work.append(Work(file.path, partial(_done, file, "planned")))
            else:
                wanted.append(file)
        pace = Pace(self.transport.stop, self.options.limit)
        ranges = None if place is None else Ranges(self.transport, pace, place)
        for file in sorted(wanted, key=lambda file: -file.size):
            target = inside(folder, file.path)
            if place is None or (self.options.cached and self._blobs.has(file)):
                work.append(Work(file.path, partial(self._kept, ranges, file, folder, target)))
            else:
                work.append(self._brought(ranges, file, folder, target))
        _require_room(folder, sum(file.size for file in wanted))
        return work

    def _brought(self, ranges: Ranges | None, file: RemoteFile, folder: Path, target: Path) -> Work:
        """The work to bring a file."""
        if ranges is None:
            raise NotFound(f"{file.path} is not in the cache")
        if file.size <= SMALL_BYTES:
            return Work(file.path, partial(SmallFetch(ranges, self.progress).fetch, file, target))
        fetch = Fetch(ranges, folder, target, file, self.progress)
        self._fetches.append(fetch)
        return Work(file.path, partial(fetch.plan, self.options.jobs))

    def _kept(self, ranges: Ranges | None, file: RemoteFile, folder: Path, target: Path) -> Moved | list[Work]:
        """Take a file from the cache; what is not right there is brought."""
        if not self._blobs.take(file, target, self.transport.stop):
            return [self._brought(ranges, file, folder, target)]
        self.progress.spared(file.size)
        return _done(file, "cached")

    def _is_there(self, path: Path, file: RemoteFile, digests: Digests) -> bool:
        try:
            fingerprint = Fingerprint.of(path.stat())
            if fingerprint.size != file.size or not path.is_file():
                return False
            here = LocalFile(file.path, path, fingerprint)
            return digests.of(here, self.transport.stop, self.progress) == file.sha256
        except (OSError, ClientError):
            return False

    def _remember(self, path: Path, file: Moved, digests: Digests) -> None:
        if file.outcome != "received" or file.sha256 is None:
            return
        if self.options.cached:
            self._blobs.keep(path, file.sha256)
        if file.size > SMALL_BYTES:
            with local_errors(path):
                digests.remember(Fingerprint.of(path.stat()), file.sha256)


def chosen(files: Sequence[RemoteFile], names: Sequence[str], selection: Selection) -> list[RemoteFile]:
    """The files that are meant: those of that name, or below it. Raises NotFound for a name that there is not."""
    wanted = [name.strip("/") for name in names]
    for name in wanted:
        if not any(_is_at(file.path, name) for file in files):
            raise NotFound(f"There is no file {name!r}")
    named = [file for file in files if not wanted or any(_is_at(file.path, name) for name in wanted)]
    taken = [file for file in named if selection.takes(file.path)]
    if named and not taken:
        raise NotFound(f"The patterns take none of {len(named)} files")
    return taken


def inside(folder: Path, name: str) -> Path:
    """The path of a file, in a folder that is there then. Raises Mismatch where a link leads out of `folder`."""
    target = folder / name
    with local_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise Mismatch(f"{target} is not written: {target.parent} leads out of {folder}")
        if target.is_dir():
            raise Mismatch(f"{target} is not written: it is a folder")
    return target


def _is_at(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}/")


def _done(file: RemoteFile, outcome: str) -> Moved:
    return Moved(file.path, file.size, file.sha256, outcome, 0)  # type: ignore[arg-type] # one of its words


def _require_room(folder: Path, size: int) -> None:
    """Raise NoRoom where a folder has none for so many bytes, some of which may be there already."""
    if not size:
        return
    with local_errors(folder):
        free = shutil.disk_usage(folder).free
        free += sum(getattr(path.stat(), "st_blocks", 0) * 512 for path in (folder / PARTIALS).glob("*.part"))
    if size > free:
        raise NoRoom(f"{folder} has {free} bytes free, and {size} are to come")
