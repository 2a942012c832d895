"""The folder of a backup:

    manifest.json               what it holds; without it the backup is incomplete
    database-<time>.<kind>      the copy of the database
    blobs-<time>.txt            digest and size of each blob that the copy refers to, by ascending digest
    blobs/                      these blobs, laid out as a local blob store
    lock                        held by whoever works on the folder

Names of copies are never used twice. So whatever a later backup does, the manifest and what it names stay whole until
a new manifest replaces it.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from modelyard.blobs.local import LocalBlobStore
from modelyard.disk.durable import fsync_directory, fsync_file, make_directories, replace_file
from modelyard.disk.naming import naming
from modelyard.disk.private import create_private, open_private, tighten
from modelyard.errors import CommandError
from modelyard.registry.lock_files import LockFile
from modelyard.services.backup.manifest import File, Manifest, decoded
from modelyard.services.upkeep.blob_lists import read_list

MANIFEST, LOCK, BLOBS = "manifest.json", "lock", "blobs"
_COPY = re.compile(r"(database|blobs)-[0-9A-Za-z.-]+")
_OWN = re.compile(rf"{MANIFEST}(\.new)?|{LOCK}|{BLOBS}|{_COPY.pattern}")


class BackupFolder:
    """A backup, complete or not, that nobody else writes to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    @contextmanager
    def writing(cls, path: Path) -> Iterator[Self]:
        """A folder for a backup, made where there is none. Raises CommandError where it holds anything else."""
        folder = path.absolute()
        make_directories(folder)
        if strangers := sorted(name for name in os.listdir(folder) if not _OWN.fullmatch(name)):
            raise CommandError(f"{path} is no backup: it holds {strangers[0]}")
        tighten(folder)
        with _locked(open_private(folder / LOCK), folder, shared=False):
            yield cls(folder)

    @classmethod
    @contextmanager
    def reading(cls, path: Path) -> Iterator[Self]:
        """A folder with a backup. Raises CommandError where there is none."""
        folder = path.absolute()
        if not (folder / MANIFEST).exists():
            raise CommandError(f"{path} is no complete backup: there is no {MANIFEST}")
        if not (folder / LOCK).exists():  # a copy by other means, to which nobody writes
            yield cls(folder)
            return
        with _locked(os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC), folder, shared=True):
            yield cls(folder)

    def blobs(self) -> LocalBlobStore:
        """The blobs of the backup."""
        return LocalBlobStore(self.path / BLOBS)

    def manifest(self) -> Manifest:
        """What the backup holds. Raises CommandError where that cannot be read."""
        with naming(self.path / MANIFEST):
            return decoded((self.path / MANIFEST).read_bytes())

    def new_file(self, kind: str, created_at: str, suffix: str) -> Path:
        """A new and empty file that only its owner can read: the `database`, or the list of `blobs`."""
        time = created_at.replace(":", "")  # which other programs take for the end of a host's name
        path = self.path / f"{kind}-{time}-{secrets.token_hex(4)}{suffix}"
        os.close(create_private(path))
        return path

    def kept(self, path: Path) -> File:
        """Make a file durable, and say what the manifest is to say of it."""
        fsync_file(path)
        fsync_directory(path.parent)
        return File(path.name, path.stat().st_size, _digest(path))

    def verified(self, file: File) -> Path:
        """The path of a file that is what the manifest says. Raises CommandError where it is not."""
        path = self.path / file.name
        if not _COPY.fullmatch(file.name) or not path.is_file():
            raise CommandError(f"the backup is damaged: {file.name} is missing")
        if path.stat().st_size != file.size or _digest(path) != file.sha256:
            raise CommandError(f"the backup is damaged: {file.name} is not what it was")
        return path

    def listed(self, manifest: Manifest) -> Iterator[tuple[str, int]]:
        """Digest and size of each blob that the database copy refers to, by ascending digest."""
        return read_list(self.path / manifest.blobs.list.name)

    def complete(self, manifest: Manifest) -> None:
        """Make this the backup from now on, durably, in place of an earlier one."""
        replace_file(self.path / MANIFEST, manifest.encoded())

    def remove_strays(self) -> None:
        """Remove what neither the manifest names nor anybody will finish."""
        path = self.path / MANIFEST
        manifest = self.manifest() if path.exists() else None
        named = {manifest.database.name, manifest.blobs.list.name} if manifest else set()
        for name in os.listdir(self.path):
            if _COPY.fullmatch(name) and name not in named:
                (self.path / name).unlink()
        store = self.blobs()
        for leftover in store.leftovers():
            store.remove_leftover(leftover.name)


@contextmanager
def _locked(descriptor: int, folder: Path, *, shared: bool) -> Iterator[None]:
    try:
        if not LockFile(folder / LOCK, descriptor).try_lock(shared=shared):
            raise CommandError(f"{folder} is in use by another backup or restore")
        yield
    finally:
        os.close(descriptor)


def _digest(path: Path) -> str:
    with naming(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def kept_by(paths: Iterable[Path]) -> Iterator[Iterator[tuple[str, int]]]:
    """Digest and size of each blob that any of these backups refers to, by ascending digest; some come twice.

    Raises CommandError where one of them is not complete, or in use.
    """
    with ExitStack() as stack:
        folders = [stack.enter_context(BackupFolder.reading(path)) for path in paths]
        lists = [read_list(folder.verified(folder.manifest().blobs.list)) for folder in folders]
        yield heapq.merge(*lists)
