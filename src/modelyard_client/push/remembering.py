"""Uploads that were begun, remembered until they end: after a kill, a later process goes on where the server is."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from modelyard_client.local.files import LocalFile
from modelyard_client.local.locking import Lock
from modelyard_client.local.private import write_private

KEPT_SECONDS = 30 * 86_400  # servers keep an upload that nobody goes on with for a week or so
UID = re.compile(r"[0-9a-f]{32}")


class Remembered(NamedTuple):
    """An upload that was begun; `goes_on`: with the file as it is now."""

    uid: str
    goes_on: bool


class Memory:
    """What is remembered of one file on its way to one place; nothing where another process is at the same."""

    def __init__(self, path: Path | None, file: LocalFile) -> None:
        self.path = path
        self.file = file

    def upload(self) -> Remembered | None:
        """The upload that was begun."""
        if self.path is None:
            return None
        try:
            kept = json.loads(self.path.read_bytes())
            same = kept["fingerprint"] == self.file.fingerprint.as_list()
            uid = str(kept["uid"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Remembered(uid, same) if UID.fullmatch(uid) else None

    def keep(self, uid: str) -> None:
        """Remember an upload. Where that cannot be, it begins anew after a kill."""
        if self.path is not None:
            kept = {"uid": uid, "path": str(self.file.path), "fingerprint": self.file.fingerprint.as_list()}
            with suppress(OSError):
                write_private(self.path, json.dumps(kept).encode(), durable=False)

    def forget(self) -> None:
        """The upload has ended."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)


@contextmanager
def remembered(folder: Path, url: str, file: LocalFile) -> Iterator[Memory]:
    """What is remembered of a file on its way to a URL, for one process; others begin uploads of their own."""
    place = hashlib.sha256(f"{url}\n{file.path.absolute()}".encode("utf-8", "surrogateescape")).hexdigest()[:40]
    with Lock(folder / f"{place}.lock") as lock:
        try:
            taken = lock.take()
        except OSError:
            taken = False
        yield Memory(folder / f"{place}.json" if taken else None, file)


def prune(folder: Path) -> None:
    """Forget what no server keeps any more."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.stat().st_mtime < time.time() - KEPT_SECONDS:
                path.unlink(missing_ok=True)
