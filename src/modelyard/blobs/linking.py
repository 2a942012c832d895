"""Giving a blob of one local store a second name in another. No byte is copied: a blob never changes."""

from __future__ import annotations

import os
from pathlib import Path

from modelyard.blobs._posix import blob_errors
from modelyard.blobs.local import LocalBlobStore
from modelyard.blobs.store import BlobStore, Digest
from modelyard.disk.durable import CANNOT_LINK, fsync_directory
from modelyard.disk.private import can_share


class Linker:
    """Links blobs from one local store into another, where nobody else writes. They are durable after `sync`."""

    def __init__(self, source: LocalBlobStore, target: LocalBlobStore) -> None:
        self._source = source
        self._target = target
        self._touched: set[Path] = set()

    def link(self, digest: Digest) -> bool:
        """Link one blob, in place of what is there; False where that is not possible. Raises BlobMissing."""
        path = self._source.path(digest)
        with blob_errors(path, digest):
            place = self._target.place(digest)
            if not can_share(path, place.parent):
                return False
            try:
                _link(path, place)
            except OSError as error:
                if error.errno in CANNOT_LINK:
                    return False
                raise
        self._touched.add(place.parent)
        return True

    def sync(self) -> None:
        """Make the new names durable; once for each folder, since a blob has few neighbours and a disk is slow."""
        for folder in self._touched:
            with blob_errors(folder):
                fsync_directory(folder)
        self._touched.clear()


def linker(source: BlobStore, target: BlobStore) -> Linker | None:
    """A linker between two stores, or None where they are not both local."""
    if isinstance(source, LocalBlobStore) and isinstance(target, LocalBlobStore):
        return Linker(source, target)
    return None


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        target.unlink()
        os.link(source, target)
