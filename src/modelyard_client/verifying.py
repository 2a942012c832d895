"""Files here beside those of a version, by their bytes: nothing that was remembered is believed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelyard_client.errors import Mismatch
from modelyard_client.local.files import Fingerprint, LocalFile, local_errors
from modelyard_client.local.places import PARTIALS
from modelyard_client.names import require_inside
from modelyard_client.progress import Progress
from modelyard_client.pull.ranges import Ranges
from modelyard_client.results import RemoteFile, Verification
from modelyard_client.stopping import Stop


def verified(target: str, files: Sequence[RemoteFile], folder: Path, stop: Stop, progress: Progress) -> Verification:
    """Read all files anew, and compare. Raises ClientError, Mismatch for a name that leaves the folder."""
    for file in files:
        require_inside(file.path, windows=os.name == "nt")
    progress.planned(len(files), sum(file.size for file in files))
    ok: list[str] = []
    missing: list[str] = []
    different: list[str] = []
    try:
        for file in files:
            path = folder / file.path
            if not path.is_file():
                missing.append(file.path)
                progress.spared(file.size)
                continue
            (ok if _is_same(path, file, stop, progress) else different).append(file.path)
    finally:
        progress.ended()
    known = {file.path for file in files}
    with local_errors(folder):
        here = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    extra = sorted(path.as_posix() for path in here if path.parts[0] != PARTIALS and path.as_posix() not in known)
    return Verification(target, ok, missing, different, extra)


def _is_same(path: Path, file: RemoteFile, stop: Stop, progress: Progress) -> bool:
    with local_errors(path):
        fingerprint = Fingerprint.of(path.stat())
    if fingerprint.size != file.size:
        progress.spared(file.size)
        return False
    return LocalFile(file.path, path, fingerprint).sha256(stop, progress.moved) == file.sha256


def verified_pieces(ranges: Ranges, file: RemoteFile) -> Iterator[bytes]:
    """The bytes of a file. Raises Mismatch after the last ones where they are not its SHA-256's."""
    hasher = hashlib.sha256()
    for piece in ranges.read(file, 0, file.size) if file.size else ():
        hasher.update(piece)
        yield piece
    if hasher.hexdigest() != file.sha256:
        raise Mismatch(f"{file.path} came as {hasher.hexdigest()}, and is {file.sha256}")
