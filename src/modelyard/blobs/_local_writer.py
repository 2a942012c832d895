"""A blob of a local store while it is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor

from modelyard.blobs._direct import DirectFile
from modelyard.blobs._incoming import IncomingFile
from modelyard.blobs._layout import Layout
from modelyard.blobs._posix import blob_errors, copy_all, start_writeback, write_all
from modelyard.blobs._sha256 import Hasher
from modelyard.blobs._writer import HashingWriter
from modelyard.blobs.store import Digest
from modelyard.disk.durable import fsync_directory

WRITEBACK_STEP = 32 << 20


class LocalBlobWriter(HashingWriter):
    """A file under `incoming/` that becomes a blob. Its descriptor stays open until `close`."""

    def __init__(
        self,
        layout: Layout,
        executor: Executor | None,
        file: IncomingFile | None = None,
        hasher: Hasher | None = None,
        size: int = 0,
    ) -> None:
        """A writer of a new file, or one that goes on with `file` after `size` bytes that `hasher` has taken."""
        super().__init__(hasher, size)
        self._layout = layout
        self._file = file or IncomingFile.create(layout.incoming())
        self._direct = DirectFile(self._file.path, self._file.descriptor, executor)
        self._flushed = size

    def _append(self, chunks: Sequence[memoryview]) -> None:
        position = begin = self._size  # of the next chunk, and of what is to go through the cache before it
        cached: list[memoryview] = []
        with blob_errors(self._file.path):
            for chunk in chunks:
                before, pages, after = self._direct.split(chunk, position)
                cached.append(before)
                if pages:
                    self._write_cached(cached, begin)
                    self._direct.write(pages, position + len(before))
                    begin, cached = position + len(before) + len(pages), [after]
                position += len(chunk)
            self._write_cached(cached, begin)

    def _write_cached(self, chunks: Sequence[memoryview], offset: int) -> None:
        end = offset + write_all(self._file.descriptor, chunks, offset)
        if end - self._flushed >= WRITEBACK_STEP:
            start_writeback(self._file.descriptor, self._flushed, end - self._flushed)
            self._flushed = end

    def _publish(self, digest: Digest) -> None:
        with blob_errors(self._file.path):
            self._direct.land()
            os.utime(self._file.descriptor)  # A collector counts its grace period from now, not from the last byte.
            self._layout.adopt(self._file.path, self._file.descriptor, digest)

    def _republish(self, digest: Digest) -> None:
        with blob_errors(self._file.path):
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
        self._direct.close()
        self._file.release()
