"""Which files a push sends, and by which names.

A file gets its own name, what is in a folder its path within it. Links are what they lead to, wherever that is; one
that leads to nothing, or to a folder that it is in, is a mistake. Hidden files within folders are left out unless they
are asked for; what the folder's `.modelyardignore` names is, and what a pull has left off in it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from modelyard_client.errors import UsageMistake
from modelyard_client.local.files import Fingerprint, LocalFile, local_errors
from modelyard_client.local.patterns import IGNORE_FILE, Selection, ignoring
from modelyard_client.local.places import PARTIALS
from modelyard_client.names import require_sendable


class Walk(NamedTuple):
    """How folders are walked."""

    selection: Selection = Selection()
    hidden: bool = False
    links: bool = True  # else what is a link within a folder is left out
    prefix: str = ""  # of every name, with a slash at its end


def files_of(paths: Sequence[Path], walk: Walk) -> list[LocalFile]:
    """All files that are meant, by name. Raises UsageMistake, NotFound and ClientError before anything is sent."""
    found: dict[str, LocalFile] = {}
    for path in paths:
        for file in _files_at(path, walk):
            require_sendable(file.name)
            other = found.setdefault(file.name, file)
            if other.path != file.path:
                raise UsageMistake(f"{other.path} and {file.path} would both be {file.name!r}")
    return [found[name] for name in sorted(found)]


def _files_at(path: Path, walk: Walk) -> Iterator[LocalFile]:
    with local_errors(path):
        status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        name = Path(os.path.abspath(path)).name
        if walk.selection.takes(name):
            yield _local(walk.prefix + name, path, status)
        return
    ignored = _ignored(path)
    for name, file, found in _walked(path, "", walk, (_identity(status),)):
        if ignored.takes(name) and walk.selection.takes(name):
            yield _local(walk.prefix + name, file, found)


def _walked(
    folder: Path, prefix: str, walk: Walk, above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Files below a folder, by their paths within the first one; `above`: the folders that it is in."""
    with local_errors(folder):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        if (entry.name.startswith(".") and not walk.hidden) or (entry.is_symlink() and not walk.links):
            continue
        path, name = Path(entry.path), prefix + entry.name
        if name in {IGNORE_FILE, PARTIALS}:
            continue
        with local_errors(path):
            status = entry.stat()
        if not stat.S_ISDIR(status.st_mode):
            yield name, path, status
        elif _identity(status) in above:
            raise UsageMistake(f"{path} leads to a folder that it is in")
        else:
            yield from _walked(path, f"{name}/", walk, (*above, _identity(status)))


def _local(name: str, path: Path, status: os.stat_result) -> LocalFile:
    if not stat.S_ISREG(status.st_mode):
        raise UsageMistake(f"{path} is no file")
    if os.name == "nt":  # pragma: no cover - an entry of a folder tells no inode there
        status = path.stat()
    return LocalFile(name, path, Fingerprint.of(status))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _ignored(folder: Path) -> Selection:
    path = folder / IGNORE_FILE
    try:
        with local_errors(path):
            return ignoring(path.read_text("utf-8").splitlines()) if path.is_file() else Selection()
    except UnicodeDecodeError as error:
        raise UsageMistake(f"{path} is not UTF-8") from error
