"""Where a local store has its files, and folders that outlive a crash:

    <root>/sha256/ab/cd/<64 hexadecimal digits>    published blobs
    <root>/incoming/<random name>                  writes under way

Both lie on one file system, so that publishing is an atomic rename. Files have mode 0600 and folders 0700.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from modelyard.blobs.store import Digest, check_digest
from modelyard.disk.durable import fsync_directory
from modelyard.disk.private import make_private_directory


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

    def adopt(self, path: Path, descriptor: int, digest: Digest) -> None:
        """Make the bytes of a file durable, rename it to be the blob of that digest, and make that durable too.

        Folders are made before the bytes are synced, and synced after them: whatever was changed before, a sync of ext4
        or XFS writes with the rest, so that theirs have nothing left to wait for.
        """
        made = self._make(_folders(digest))
        os.fsync(descriptor)
        self._sync(made)
        place = self.blob(digest)
        os.replace(path, place)
        fsync_directory(place.parent)

    def place(self, digest: Digest) -> Path:
        """The path of a blob, in a folder that is there."""
        self._directory(*_folders(digest))
        return self.blob(digest)

    def _directory(self, *names: str) -> Path:
        """The last of nested folders, created where they are missing; not the root, whose disk may be unmounted."""
        self._sync(self._make(names))
        return self.root / names[-1]

    def _make(self, names: Sequence[str]) -> list[str]:
        """Create those of nested folders that are missing; the answer is those whose entries may not be durable yet.

        A process syncs the entry of each folder once, since a folder that exists need not be durable.
        """
        root = str(self.root)  # whose paths take a tenth of the time of a Path's
        unsure = [name for name in names if name not in self._durable or not os.path.isdir(f"{root}/{name}")]
        for name in unsure:
            with suppress(FileExistsError):
                make_private_directory(self.root / name)
        return unsure

    def _sync(self, names: Sequence[str]) -> None:
        for name in names:
            fsync_directory((self.root / name).parent)
            self._durable.add(name)


def _folders(digest: Digest) -> tuple[str, str, str]:
    check_digest(digest)
    return ("sha256", f"sha256/{digest[:2]}", f"sha256/{digest[:2]}/{digest[2:4]}")
