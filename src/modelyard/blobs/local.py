"""Blobs as files of one folder."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

from modelyard.blobs import _local_resumable
from modelyard.blobs._incoming import abandoned, is_incoming_name
from modelyard.blobs._layout import Layout
from modelyard.blobs._local_writer import LocalBlobWriter
from modelyard.blobs._posix import blob_errors, read_at, send_at
from modelyard.blobs.resumable import Checkpoint
from modelyard.blobs.store import BlobMissing, BlobStat, Digest, Leftover, check_range, is_digest
from modelyard.disk.durable import fsync_directory, make_directories

DIRECT_THREADS = 12  # that write past the page cache, for all uploads together

_SHARD = re.compile(r"[0-9a-f]{2}")


class LocalBlobReader:
    """An open file."""

    def __init__(self, descriptor: int, path: Path, digest: Digest) -> None:
        self._path = path
        self._digest = digest
        self._descriptor: int | None = descriptor
        self._lock = threading.Lock()
        self.size = os.fstat(descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        """See `BlobReader.read`."""
        check_range(offset, length)
        # Without the lock, a close in another thread could give the descriptor's number to another file.
        with self._lock, blob_errors(self._path, self._digest):
            if self._descriptor is None:
                raise ValueError("the reader is closed")
            return read_at(self._descriptor, offset, max(0, min(length, self.size - offset)))

    def send(self, socket: int, offset: int, length: int) -> int:
        """See `SendingReader.send`."""
        with self._lock:
            return 0 if self._descriptor is None else send_at(socket, self._descriptor, offset, length)

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


class LocalBlobStore:
    """A `ResumableBlobStore` in a folder, which is created if it is missing. Raises StoreUnavailable where that fails.

    `direct`: large files may go to the disk past the page cache.
    """

    locks = True
    save_seconds = 2.0  # in which a disk is synced, and a row written, without being noticed

    def __init__(self, root: Path, *, direct: bool = True) -> None:
        self._executor = ThreadPoolExecutor(DIRECT_THREADS, thread_name_prefix="blob-direct") if direct else None
        self._layout = Layout(root.absolute())
        with blob_errors(self._layout.root):
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
        with blob_errors(self._layout.root):
            return LocalBlobWriter(self._layout, self._executor)

    def open(self, digest: Digest) -> LocalBlobReader:
        """See `BlobStore.open`."""
        path = self._layout.blob(digest)
        with blob_errors(path, digest):
            return LocalBlobReader(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path, digest)

    def stat(self, digest: Digest) -> BlobStat | None:
        """See `BlobStore.stat`."""
        path = self._layout.blob(digest)
        with blob_errors(path):
            try:
                found = path.stat()
            except FileNotFoundError:
                return None
        return BlobStat(digest, found.st_size, found.st_mtime)

    def delete(self, digest: Digest) -> bool:
        """See `BlobStore.delete`."""
        path = self._layout.blob(digest)
        with blob_errors(path):
            try:
                path.unlink()
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
            with blob_errors(incoming / name), abandoned(incoming / name) as found:
                pass
            if found is not None:
                yield Leftover(name, found.st_size, found.st_mtime)

    def remove_leftover(self, name: str) -> bool:
        """See `BlobStore.remove_leftover`."""
        if not is_incoming_name(name):
            return False
        path = self._layout.root / "incoming" / name
        with blob_errors(path), abandoned(path) as found:
            if found is None:
                return False
            path.unlink()
            return True

    def hold(self, name: str, *, new: bool) -> _local_resumable.LocalHold | None:
        """See `ResumableBlobStore.hold`."""
        return _local_resumable.hold(self._layout, self._executor, name, new=new)

    def discard(self, checkpoint: Checkpoint) -> bool:
        """See `ResumableBlobStore.discard`."""
        return _local_resumable.discard(self._layout, checkpoint.name)

    def recover(self, checkpoint: Checkpoint, digest: Digest) -> None:
        """See `ResumableBlobStore.recover`."""
        found = self.stat(digest)
        if found is None or found.size != checkpoint.size:
            raise BlobMissing(digest)
        with blob_errors(path := self._layout.blob(digest)):
            fsync_directory(path.parent)  # which may not have come to pass

    def has(self, checkpoint: Checkpoint) -> bool:
        """See `ResumableBlobStore.has`."""
        return _local_resumable.has(self._layout, checkpoint)

    def partials(self) -> Iterator[Leftover]:
        """See `ResumableBlobStore.partials`."""
        return _local_resumable.partials(self._layout)

    def probe(self) -> None:
        """See `BlobStore.probe`: a file is made and removed."""
        self.begin().close()


def _is_shard(name: str) -> bool:
    return _SHARD.fullmatch(name) is not None


def _names(directory: Path, wanted: Callable[[str], bool]) -> Sequence[str]:
    with blob_errors(directory), os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if wanted(entry.name))
