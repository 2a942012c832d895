"""Uploads of a local store that outlive their process: files in `incoming/` with names of their own.

A lock on the file tells who writes it, across processes and machines that share the folder.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from typing import Self

from modelyard.blobs._incoming import IncomingFile, abandoned
from modelyard.blobs._layout import Layout
from modelyard.blobs._local_writer import LocalBlobWriter
from modelyard.blobs._posix import blob_errors
from modelyard.blobs._sha256 import Hasher, new_hasher, restored
from modelyard.blobs.resumable import Checkpoint
from modelyard.blobs.store import BlobMissing, Digest, Leftover
from modelyard.disk.durable import fsync_directory
from modelyard.disk.private import open_private

SUFFIX = ".upload"  # an earlier version's collector does not know it, and leaves it alone
READ_BYTES = 1 << 20

_NAME = re.compile(r"[0-9a-f]{32}\.upload")


def is_partial_name(name: str) -> bool:
    """Whether a file in `incoming/` is one of ours."""
    return _NAME.fullmatch(name) is not None


class PartialFile(IncomingFile):
    """A file that stays when it is released."""

    def release(self) -> None:
        """Let go of it. Never raises."""
        with suppress(OSError):
            os.close(self.descriptor)


class LocalHold:
    """The lock on a partial file, which may be gone."""

    def __init__(self, layout: Layout, executor: Executor | None, path: Path, file: PartialFile | None) -> None:
        self._layout = layout
        self._executor = executor
        self._path = path
        self._file = file

    def resume(self, checkpoint: Checkpoint) -> LocalResumableWriter:
        """See `Hold.resume`."""
        file = self._file
        if file is None:
            raise BlobMissing(checkpoint.name)
        with blob_errors(self._path):
            found = os.fstat(file.descriptor).st_size
            if found < checkpoint.size:
                raise BlobMissing(checkpoint.name)
            if found > checkpoint.size:
                os.ftruncate(file.descriptor, checkpoint.size)
        self._file = None
        return LocalResumableWriter(self._layout, self._executor, file, checkpoint)

    def release(self) -> None:
        """See `Hold.release`. A file that has nothing in it is removed: nothing is lost with it."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                if not os.fstat(file.descriptor).st_size:
                    file.path.unlink()
            file.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


class LocalResumableWriter(LocalBlobWriter):
    """A partial file while it is written."""

    def __init__(self, layout: Layout, executor: Executor | None, file: PartialFile, checkpoint: Checkpoint) -> None:
        hasher = checkpoint.hasher or restored(checkpoint.state, checkpoint.size)
        self._forgotten = hasher is None  # what was written before is read again at the end
        super().__init__(layout, executor, file, hasher or new_hasher(), checkpoint.size)
        self._checkpoint = checkpoint

    @property
    def due(self) -> bool:
        """See `ResumableWriter.due`."""
        return False

    def save(self, *, last: bool) -> Checkpoint:
        """See `ResumableWriter.save`."""
        del last
        with self._lock:
            self._require_open()
            with self._closing_on_failure(), blob_errors(self._file.path):
                self._direct.land()
                os.fdatasync(self._file.descriptor)
            hasher: Hasher | None = None if self._forgotten else self._hash  # type: ignore[assignment] # as it was given
            state = hasher.save() if hasher else b""
            kept = hasher.copy() if hasher and not state else None
            return Checkpoint(self._checkpoint.name, self._size, state, hasher=kept)

    def _digest(self) -> Digest:
        if self._forgotten:
            with blob_errors(self._file.path):
                self._direct.land()
                self._hash, self._forgotten = self._read_again(), False
        return super()._digest()

    def _read_again(self) -> Hasher:
        hasher, offset = new_hasher(), 0
        while block := os.pread(self._file.descriptor, READ_BYTES, offset):
            hasher.update(memoryview(block))
            offset += len(block)
        return hasher


def hold(layout: Layout, executor: Executor | None, name: str, *, new: bool) -> LocalHold | None:
    """See `ResumableBlobStore.hold`."""
    folder = layout.incoming()
    path = folder / f"{name}{SUFFIX}"
    with blob_errors(path):
        try:
            descriptor = open_private(path, beside=folder) if new else os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return LocalHold(layout, executor, path, None)
        file = PartialFile(descriptor, path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.fstat(descriptor).st_nlink:  # gone since it was opened
                raise BlockingIOError
            if new:
                fsync_directory(folder)
        except BlockingIOError:
            file.release()
            return None
        except BaseException:
            file.release()
            raise
    if not path.exists():  # published since it was opened
        file.release()
        return LocalHold(layout, executor, path, None)
    return LocalHold(layout, executor, path, file)


def discard(layout: Layout, name: str) -> bool:
    """See `ResumableBlobStore.discard`."""
    path = layout.incoming() / f"{name}{SUFFIX}"
    with blob_errors(path), abandoned(path) as found:
        if found is None:
            return not path.exists()
        path.unlink()
        return True


def has(layout: Layout, checkpoint: Checkpoint) -> bool:
    """See `ResumableBlobStore.has`."""
    path = layout.incoming() / f"{checkpoint.name}{SUFFIX}"
    with blob_errors(path):
        try:
            return path.stat().st_size >= checkpoint.size
        except FileNotFoundError:
            return checkpoint.size == 0


def partials(layout: Layout) -> Iterator[Leftover]:
    """See `ResumableBlobStore.partials`."""
    folder = layout.root / "incoming"
    with blob_errors(folder):
        names = sorted(entry.name for entry in os.scandir(folder) if is_partial_name(entry.name))
    for name in names:
        with blob_errors(folder / name), abandoned(folder / name) as found:
            pass
        if found is not None:
            yield Leftover(name, found.st_size, found.st_mtime, name.removesuffix(SUFFIX))
