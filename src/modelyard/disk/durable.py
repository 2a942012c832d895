"""Files and folders that outlive a power failure."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from modelyard.disk.naming import add_path, naming
from modelyard.disk.private import create_private, make_private_directory

# From file systems on which a folder cannot be synced: shares of Windows, and some in user space. Their list is that of
# restic (`fsyncDir`, restic#3752); borg (`sync_dir`) has the first. Never what tells of a loss, as EIO and ENOSPC do.
_NO_SUCH_THING = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOENT, errno.ENOSYS, errno.ENOTTY})

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # disk, quota, largest file
# Other file systems, some that have no links, others' files, and files that have as many names as can be.
CANNOT_LINK = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
)


def fsync_directory(path: Path) -> None:
    """Make the entries of a directory durable, where its file system knows how to."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SUCH_THING:
            add_path(error, path)
            raise
    finally:
        os.close(descriptor)


def fsync_file(path: Path) -> None:
    """Make the bytes of a file durable, though not its name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Create a directory unless it is there, and make its entry in its parent durable.

    The parent is synced also when the directory was there: another writer may have made it and not synced it yet.
    """
    with suppress(FileExistsError):
        make_private_directory(path)
    fsync_directory(path.parent)


def make_directories(path: Path) -> None:
    """Create an absolute path's directory with its missing parents, each one durable.

    Raises NotADirectoryError where something else has its name, also a link that leads nowhere.
    """
    if not path.is_dir():
        make_directories(path.parent)
        make_directory(path)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def replace_file(path: Path, content: bytes) -> None:
    """Write a file anew, all at once: whoever reads it finds the old content or the new one, and never less."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with naming(new), os.fdopen(create_private(new), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    fsync_directory(path.parent)


def rename_to_new(path: Path, new: Path) -> None:
    """Rename a file durably, in its folder, to a name that nothing has. Raises FileExistsError."""
    try:
        os.link(path, new)  # unlike a rename, it never replaces what was made meanwhile
    except OSError as error:
        if error.errno not in CANNOT_LINK:
            raise
        os.close(create_private(new))  # holds the name, for the moment until
        path.replace(new)
    else:
        path.unlink()
    fsync_directory(new.parent)
