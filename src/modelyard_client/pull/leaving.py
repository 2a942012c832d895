"""What was left off in a folder and never gone on with, as of a version that nobody wants any more."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from modelyard_client.local.locking import Lock
from modelyard_client.local.places import PARTIALS

KEPT_SECONDS = 30 * 86_400


def prune(folder: Path) -> None:
    """Forget what nobody has written to for so long."""
    with suppress(OSError):
        for path in (folder / PARTIALS).glob("*.part"):
            if path.stat().st_mtime < time.time() - KEPT_SECONDS:
                _forget(path)
        (folder / PARTIALS).rmdir()  # if it was the last


def _forget(path: Path) -> None:
    """Remove a partial with what belongs to it, unless a process is at it."""
    with Lock(path.with_suffix(".lock")) as lock:
        if lock.take():
            for suffix in (".part", ".log", ".lock"):
                path.with_suffix(suffix).unlink(missing_ok=True)
