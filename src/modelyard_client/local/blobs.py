"""Files that were brought, kept by their SHA-256 where somebody asks for it, with the lists of what they were.

A kept file shares its bytes with the one that was brought, where the file system can. What is taken is a copy, which is
hashed as it is made: a file that was changed since is found, and forgotten.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from modelyard_client.errors import NotFound
from modelyard_client.local.files import READ_BYTES, local_errors
from modelyard_client.local.private import write_private
from modelyard_client.results import RemoteFile, as_json
from modelyard_client.stopping import Stop


class Blobs:
    """The cache of files. What cannot be kept is not kept; what is taken is right."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "files"
        self._lists = folder / "lists"
        self._uses = folder / "uses"  # the files themselves may be those that somebody has brought, whose times are his

    def has(self, file: RemoteFile) -> bool:
        """Whether there is something that may be the file."""
        with suppress(OSError):
            return self._path(file.sha256).stat().st_size == file.size
        return False

    def take(self, file: RemoteFile, target: Path, stop: Stop) -> bool:
        """Copy a file to where it is wanted; False where it is not here as it was. Raises NoRoom and ClientError."""
        beside = target.with_name(f".{secrets.token_hex(8)}.myd")
        path, hasher = self._path(file.sha256), hashlib.sha256()
        try:
            with local_errors(target), path.open("rb", buffering=0) as source, beside.open("xb", buffering=0) as copy:
                while piece := source.read(READ_BYTES):
                    stop.check()
                    hasher.update(piece)
                    copy.write(piece)
            if hasher.hexdigest() != file.sha256:
                self._forget(file.sha256)
                return False
            with local_errors(target):
                beside.replace(target)
        except NotFound:
            return False
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        with suppress(OSError):
            self._uses.mkdir(mode=0o700, exist_ok=True)
            (self._uses / file.sha256).touch()
        return True

    def keep(self, brought: Path, sha256: str) -> None:
        """Keep a file that was brought and verified."""
        path = self._path(sha256)
        beside = path.with_name(f".{secrets.token_hex(8)}")
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                beside.hardlink_to(brought)
            except OSError:  # another file system
                shutil.copyfile(brought, beside)
            beside.replace(path)
        with suppress(OSError):
            beside.unlink(missing_ok=True)

    def remember(self, named: str, files: Sequence[RemoteFile]) -> None:
        """Keep the list of a target's files; `named`: server and target."""
        with suppress(OSError):
            write_private(self._list(named), json.dumps(as_json(files)).encode())

    def files(self, named: str) -> list[RemoteFile]:
        """The list as it was last. Raises NotFound."""
        try:
            return [RemoteFile(**fields) for fields in json.loads(self._list(named).read_bytes())]
        except (OSError, ValueError, TypeError) as error:
            raise NotFound(f"The cache has never seen {named}") from error

    def damaged(self, stop: Stop) -> list[str]:
        """The SHA-256s of kept files that were changed since, which are forgotten."""
        found = []
        for path in self._kept():
            hasher = hashlib.sha256()
            with local_errors(path), path.open("rb", buffering=0) as file:
                while piece := file.read(READ_BYTES):
                    stop.check()
                    hasher.update(piece)
            if hasher.hexdigest() != path.name:
                self._forget(path.name)
                found.append(path.name)
        return found

    def prune(self, days: float) -> tuple[int, int]:
        """Forget what was not used for so many days; the answer is how many files these are, and how many bytes."""
        before, count, size = time.time() - days * 86_400, 0, 0
        for path in self._kept():
            with local_errors(path):
                status = path.stat()
                if max(status.st_mtime, self._used(path.name)) <= before:
                    self._forget(path.name)
                    count, size = count + 1, size + status.st_size
        return count, size

    def _forget(self, sha256: str) -> None:
        for path in (self._path(sha256), self._uses / sha256):
            path.unlink(missing_ok=True)

    def _used(self, sha256: str) -> float:
        """When a file was taken last; 0 where it never was."""
        with suppress(OSError):
            return (self._uses / sha256).stat().st_mtime
        return 0.0

    def _kept(self) -> Iterator[Path]:
        return (path for path in self._blobs.glob("*/*") if not path.name.startswith("."))

    def _path(self, sha256: str) -> Path:
        return self._blobs / sha256[:2] / sha256

    def _list(self, named: str) -> Path:
        return self._lists / f"{hashlib.sha256(named.encode()).hexdigest()[:40]}.json"
