"""Blobs as files of one folder:

    <root>/sha256/ab/cd/<64 hexadecimal digits>    published blobs
    <root>/incoming/<random name>                  writes under way

Both lie on one file system, so that publishing is an atomic rename. Files have mode 0600 and folders 0700.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from modelyard.blobs._incoming import IncomingFile, abandoned, is_incoming_name
from modelyard.blobs._posix import (
    blob_errors,
    copy_all,
    read_at,
    start_writeback,
    write_all,
)
from modelyard.blobs._writer import HashingWriter
from modelyard.blobs.store import BlobStat, Digest, Leftover, check_digest, check_range, is_digest
from modelyard.durable import fsync_directory, make_directories, make_directory

WRITEBACK_STEP = 32 << 20

_SHARD = re.compile(r"[0-9a-f]{2}")


class _Layout:
    """Which path is what, and folders that outlive a crash."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._durable: set[str] = set()

    def blob(self, digest: Digest) -> Path:
        check_digest(digest)
        return self.root / f"sha256/{digest[:2]}/{digest[2:4]}/{digest}"

    def blobs(self) -> Path:
        return self._directory("sha256")

    def incoming(self) -> Path:
        return self._directory("incoming")

    def adopt(self, path: Path, digest: Digest) -> None:
        """Rename a file whose bytes are durable to be the blob of that digest, and make that durable too."""
        place = self.place(digest)
        os.replace(path, place)
        fsync_directory(place.parent)

    def place(self, digest: Digest) -> Path:
        """The path of a blob, in a folder that is there."""
        self._directory("sha256", f"sha256/{digest[:2]}", f"sha256/{digest[:2]}/{digest[2:4]}")
        return self.blob(digest)

    def _directory(self, *names: str) -> Path:
        """The last of nested folders, created where they are missing; not the root, whose disk may be unmounted.

        A process syncs the entry of each folder once, since a folder that exists need not be durable yet.
        """
        for name in names:
            path = self.root / name
            if name not in self._durable or not path.is_dir():
                make_directory(path)
                self._durable.add(name)
        return path


class LocalBlobReader:
    """An open file."""

    def __init__(self, descriptor: int, digest: Digest) -> None:
        self._digest = digest
        self._descriptor: int | None = descriptor
        self._lock = threading.Lock()
        self.size = os.fstat(descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        """See `BlobReader.read`."""
        check_range(offset, length)
        # Without the lock, a close in another thread could give the descriptor's number to another file.
        with self._lock, blob_errors(reading=self._digest):
            if self._descriptor is None:
                raise ValueError("the reader is closed")
            return read_at(self._descriptor, offset, max(0, min(length, self.size - offset)))

    def close(self) -> None:
        """See `BlobReader.close`."""
        with self._lock, suppress(OSError):
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class LocalBlobWriter(HashingWriter):
    """A file under `incoming/` that becomes a blob. Its descriptor stays open until `close`."""

    def __init__(self, layout: _Layout) -> None:
        super().__init__()
        self._layout = layout
        self._file = IncomingFile.create(layout.incoming())
        self._flushed = 0

    def _append(self, chunks: Sequence[memoryview]) -> None:
        with blob_errors():
            end = self._size + write_all(self._file.descriptor, chunks)
        if end - self._flushed >= WRITEBACK_STEP:
            start_writeback(self._file.descriptor, self._flushed, end - self._flushed)
            self._flushed = end

    def _publish(self, digest: Digest) -> None:
        with blob_errors():
            os.utime(self._file.descriptor)  # A collector counts its grace period from now, not from the last byte.
            os.fsync(self._file.descriptor)
            self._layout.adopt(self._file.path, digest)

    def _republish(self, digest: Digest) -> None:
        with blob_errors():
            path = self._layout.blob(digest)
            if path.exists():
                fsync_directory(path.parent)  # It may be another writer's, who has not come this far yet.
                return
            self._copy_to_new_file()
        self._publish(digest)

    def _copy_to_new_file(self) -> None:
        """Go on with a copy, since a file that has lost its last name cannot get a new one."""
        deleted, self._file = self._file, IncomingFile.create(self._layout.incoming())
        try:
            copy_all(deleted.descriptor, self._file.descriptor)
        finally:
            deleted.release()

    def _release(self) -> None:
        self._file.release()


class LocalBlobStore:
    """A `BlobStore` in a folder, which is created if it is missing. Raises StoreUnavailable where that fails."""

    def __init__(self, root: Path) -> None:
        with blob_errors():
            self._layout = _Layout(root.absolute())
            make_directories(self._layout.root)
            self._layout.blobs()
            self._layout.incoming()

    def path(self, digest: Digest) -> Path:
        """Where the file of a blob lies, or would lie."""
        return self._layout.blob(digest)

    def path_below_root(self, digest: Digest) -> str:
        """The same, as seen from the store's folder."""
        return str(self._layout.blob(digest).relative_to(self._layout.root))

    def place(self, digest: Digest) -> Path:
        """Where the file of a blob lies or would lie, in a folder that is there from now on."""
        return self._layout.place(digest)

    def begin(self) -> LocalBlobWriter:
        """See `BlobStore.begin`."""
        with blob_errors():
            return LocalBlobWriter(self._layout)

    def open(self, digest: Digest) -> LocalBlobReader:
        """See `BlobStore.open`."""
        with blob_errors(reading=digest):
            return LocalBlobReader(os.open(self._layout.blob(digest), os.O_RDONLY | os.O_CLOEXEC), digest)

    def stat(self, digest: Digest) -> BlobStat | None:
        """See `BlobStore.stat`."""
        with blob_errors():
            try:
                found = self._layout.blob(digest).stat()
            except FileNotFoundError:
                return None
        return BlobStat(digest, found.st_size, found.st_mtime)

    def delete(self, digest: Digest) -> bool:
        """See `BlobStore.delete`."""
        with blob_errors():
            try:
                self._layout.blob(digest).unlink()
            except FileNotFoundError:
                return False
        return True

    def list(self) -> Iterator[BlobStat]:
        """See `BlobStore.list`."""
        for shard in self._shards():
            for digest in _names(shard, is_digest):
                # A file that lies in the wrong shard is not found under its name, hence not listed.
                if self._layout.blob(digest).parent == shard and (found := self.stat(digest)) is not None:
                    yield found

    def _shards(self) -> Iterator[Path]:
        for first in _names(self._layout.root / "sha256", _is_shard):
            outer = self._layout.root / "sha256" / first
            yield from (outer / second for second in _names(outer, _is_shard))

    def leftovers(self) -> Iterator[Leftover]:
        """See `BlobStore.leftovers`."""
        incoming = self._layout.root / "incoming"
        for name in _names(incoming, is_incoming_name):
            with blob_errors(), abandoned(incoming / name) as found:
                pass
            if found is not None:
                yield Leftover(name, found.st_size, found.st_mtime)

    def remove_leftover(self, name: str) -> bool:
        """See `BlobStore.remove_leftover`."""
        if not is_incoming_name(name):
            return False
        path = self._layout.root / "incoming" / name
        with blob_errors(), abandoned(path) as found:
            if found is None:
                return False
            path.unlink()
            return True

    def probe(self) -> None:
        """See `BlobStore.probe`: a file is made and removed."""
        self.begin().close()


def _is_shard(name: str) -> bool:
    return _SHARD.fullmatch(name) is not None


def _names(directory: Path, wanted: Callable[[str], bool]) -> Sequence[str]:
    with blob_errors(), os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if wanted(entry.name))
