"""The bare cost of keeping a small file for good, one after the other on one thread.

As a program (`python -m bench.load.durable FOLDER SECONDS`) it writes files of 1 KiB as a durable store must: write,
fsync, rename, fsync the directory, commit a row in SQLite. It prints how many it kept and the CPU seconds they took.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import sys
import time
from pathlib import Path

from bench.load.payload import SMALL
from bench.machine import SERVER_CORES
from bench.metrics import CPU_PER_REQUEST, RATE, Metrics
from bench.process import output_of


def bare_creates(folder: Path, seconds: int) -> Metrics:
    """Files kept in a second, and the CPU milliseconds of each, on the core of the servers."""
    command = [sys.executable, "-m", "bench.load.durable", str(folder), str(seconds)]
    said = json.loads(output_of(command, cores=SERVER_CORES, folder=Path(__file__).parents[2]))
    return {RATE: said["files"] / said["seconds"], CPU_PER_REQUEST: said["cpu"] * 1000 / said["files"]}


def main(folder: Path, seconds: float) -> None:
    """Keep files for `seconds` and print the count."""
    folder.mkdir(parents=True, exist_ok=True)
    database = _database(folder)
    directory = os.open(folder, os.O_RDONLY)
    begun, cpu, files = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begun < seconds:
        _keep(folder, directory, database)
        files += 1
    spent = {"files": files, "seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}
    sys.stdout.write(json.dumps(spent) + "\n")


def _database(folder: Path) -> sqlite3.Connection:
    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, size INTEGER)")
    return database


def _keep(folder: Path, directory: int, database: sqlite3.Connection) -> None:
    name = secrets.token_hex(16)
    descriptor = os.open(folder / "incoming", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.write(descriptor, os.urandom(SMALL))
    os.fsync(descriptor)
    os.close(descriptor)
    (folder / "incoming").rename(folder / name)
    os.fsync(directory)
    database.execute("INSERT INTO files VALUES (?, ?)", (name, SMALL))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
