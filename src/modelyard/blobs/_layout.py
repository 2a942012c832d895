"""Where a local store has its files, and folders that outlive a crash:

    <root>/sha256/ab/cd/<64 hexadecimal digits>    published blobs
    <root>/incoming/<random name>                  writes under way

Both lie on one file system, so that publishing is an atomic rename. Files have mode 0600 and folders 0700.
"""

from __future__ import annotations

import os
from pathlib import Path

from modelyard.blobs.store import Digest, check_digest
from modelyard.disk.durable import fsync_directory, make_directory


class Layout:
    """The paths below one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._durable: set[str] = set()

    def blob(self, digest: Digest) -> Path:
        """The path of a blob. Raises ValueError for what is no digest."""
        check_digest(digest)
        return self.root / f"sha256/{digest[:2]}/{digest[2:4]}/{digest}"

    def blobs(self) -> Path:
        """The folder of the blobs."""
        return self._directory("sha256")

    def incoming(self) -> Path:
        """The folder of writes under way."""
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
