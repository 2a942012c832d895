"""Files and folders that their owner alone can read, and that belong to the service's user also where root makes them.

What root makes belongs to the owner of what it lies beside, as SQLite's own files do: a command that was run once as
root must not shut the service out. As that user can put what it likes into the folders in which root works so, no link
is followed there, and nothing is given away that could be another file.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import structlog

FILE_MODE, DIRECTORY_MODE = 0o600, 0o700
OTHERS = 0o077

log = structlog.get_logger()


def create_private(path: Path, beside: Path | None = None) -> int:
    """A descriptor of a new file, which belongs to the owner of `beside`, by default its folder. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    if _is_root():
        _give(descriptor, beside or path.parent)
    return descriptor


def open_private(path: Path, beside: Path | None = None) -> int:
    """The same of a file that may be there already; an empty one that root has made before is given as well."""
    try:
        return create_private(path, beside)
    except FileExistsError:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    found = os.fstat(descriptor)
    if _is_root() and (found.st_uid, found.st_nlink, found.st_size) == (0, 1, 0):
        _give(descriptor, beside or path.parent)
    return descriptor


def make_private_directory(path: Path) -> None:
    """Create a folder, which belongs to the owner of the one that it is in. Raises OSError."""
    os.mkdir(path, DIRECTORY_MODE)
    if _is_root():
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _give(descriptor, path.parent)
        finally:
            os.close(descriptor)


def can_share(path: Path, folder: Path) -> bool:
    """Whether a file may get a name in a folder as well: root can do so for an owner who could then not read it."""
    return not _is_root() or folder.stat().st_uid in (0, path.stat().st_uid)


def tighten(path: Path) -> None:
    """Take from all but its owner what they may do with a file or folder, where there is one and that is permitted.

    Not with one as /tmp, where each has their own. What is root's stays open to its group: the service may be in it.
    """
    with suppress(OSError):
        found = os.stat(path, follow_symlinks=not _is_root())
        others = stat.S_IRWXO if found.st_uid == 0 and found.st_gid != 0 else OTHERS
        if found.st_mode & others and not found.st_mode & stat.S_ISVTX and not stat.S_ISLNK(found.st_mode):
            before = stat.S_IMODE(found.st_mode)
            path.chmod(before & ~others)
            log.info("closed to others", path=str(path), mode=f"{before & ~others:04o}", before=f"{before:04o}")


def _is_root() -> bool:
    return os.geteuid() == 0


def _give(descriptor: int, beside: Path) -> None:
    with suppress(OSError):  # as SQLite does: root without the right to give things away can still use them
        owner = os.stat(beside)
        if owner.st_uid != 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
