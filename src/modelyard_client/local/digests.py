"""SHA-256s of files that are as they were when they were read, by size, times and inode. What fails costs time."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

from modelyard_client.local.files import Fingerprint, LocalFile
from modelyard_client.progress import Progress
from modelyard_client.stopping import Stop

MOST = 200_000  # files that are remembered
MADE = """CREATE TABLE IF NOT EXISTS digests (
    device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, sha256 TEXT, at INTEGER,
    PRIMARY KEY (device, inode)
) WITHOUT ROWID"""
SQLITE_MOST = 2**63


class Digests:
    """A memory of digests that many processes share."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        with suppress(OSError, sqlite3.Error):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                folder / "digests.sqlite", timeout=2, isolation_level=None, check_same_thread=False
            )
            for statement in ("PRAGMA synchronous=OFF", "PRAGMA journal_mode=WAL", MADE):
                self._connection.execute(statement)

    def of(self, file: LocalFile, stop: Stop, progress: Progress) -> str:
        """The SHA-256 in hex, remembered or read. Raises FileChanged and ClientError."""
        known = self.known(file.fingerprint)
        if known is None:
            known = file.sha256(stop, progress.compared)
            self.remember(file.fingerprint, known)
        return known

    def known(self, fingerprint: Fingerprint) -> str | None:
        """What is remembered of a file that is still the same."""
        query = "SELECT sha256 FROM digests WHERE device=? AND inode=? AND size=? AND mtime_ns=? AND ctime_ns=?"
        rows = self._run(query, *_place(fingerprint), fingerprint.size, fingerprint.mtime_ns, fingerprint.ctime_ns)
        return str(rows[0][0]) if rows else None

    def remember(self, fingerprint: Fingerprint, sha256: str) -> None:
        """Remember a file's digest, unless a change to it could go unseen."""
        if fingerprint.is_settled:
            values = (fingerprint.size, fingerprint.mtime_ns, fingerprint.ctime_ns, sha256, int(time.time()))
            self._run("INSERT OR REPLACE INTO digests VALUES (?,?,?,?,?,?,?)", *_place(fingerprint), *values)

    def forget(self, fingerprint: Fingerprint) -> None:
        """Let a file be read anew."""
        self._run("DELETE FROM digests WHERE device=? AND inode=?", *_place(fingerprint))

    def close(self) -> None:
        """Let go of it, and of what is more than should be kept."""
        surplus = "SELECT at FROM digests ORDER BY at DESC LIMIT 1 OFFSET ?"
        self._run(f"DELETE FROM digests WHERE at < ({surplus})", MOST)  # noqa: S608 - a constant
        with self._lock, suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _run(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock, suppress(sqlite3.Error, OverflowError):
            if self._connection is not None:
                return self._connection.execute(statement, values).fetchall()
        return []


def _place(fingerprint: Fingerprint) -> tuple[int, int]:
    """Device and inode, which SQLite keeps with a sign."""
    return tuple(n - 2 * SQLITE_MOST if n >= SQLITE_MOST else n for n in (fingerprint.device, fingerprint.inode))  # type: ignore[return-value] # two of them
