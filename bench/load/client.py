"""Files by the client's own command, and the same by curl."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.contenders.modelyard import Modelyard
from bench.contenders.target import Target
from bench.load.curl import CURL
from bench.machine import CLIENT_CORES, pinned
from bench.metrics import FILE_RATE, MIB, SPEED, Metrics
from bench.process import HOST, output_of

TARGET = "root/bench/model"


def timed(server: Modelyard, home: Path, *arguments: str | Path) -> float:
    """The seconds that a command takes from its start to its end, as in a home where nothing is remembered."""
    environment = {
        "MODELYARD_URL": f"http://{HOST}:{server.port}",
        "MODELYARD_TOKEN": server.token,
        **{f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "CACHE", "STATE")},
    }
    program = server.server.program.with_name("myd")
    begun = time.perf_counter()
    output_of([str(program), *map(str, arguments), "--quiet"], environment, cores=CLIENT_CORES)
    return time.perf_counter() - begun


def push(server: Modelyard, home: Path, path: Path, into: str) -> Metrics:
    """Upload a file."""
    return {SPEED: path.stat().st_size / MIB / timed(server, home, "push", path, TARGET, "--into", into)}


def pull(server: Modelyard, home: Path, name: str, size: int) -> Metrics:
    """Download a file to the disk, verified."""
    seconds = timed(server, home, "pull", TARGET, name, "--output-dir", emptied(home / "out"))
    return {SPEED: size / MIB / seconds}


def curl_to_disk(target: Target, folder: Path, size: int, *, digest: bool) -> Metrics:
    """Download a file by curl, and then have its SHA-256 computed."""
    path = emptied(folder) / "file"
    headers = [word for header in target.headers for word in ("--header", header)]
    begun = time.perf_counter()
    output_of([*CURL, *headers, "--output", str(path), target.url], cores=CLIENT_CORES)
    if digest:
        output_of(["openssl", "dgst", "-sha256", str(path)], cores=CLIENT_CORES)
    return {SPEED: size / MIB / (time.perf_counter() - begun)}


def push_many(server: Modelyard, home: Path, folder: Path, into: str, files: int) -> Metrics:
    """Upload a folder of small files."""
    return {FILE_RATE: files / timed(server, home, "push", folder, TARGET, "--into", into), "files": files}


def pull_many(server: Modelyard, home: Path, name: str, files: int) -> Metrics:
    """Download a folder of small files."""
    seconds = timed(server, home, "pull", TARGET, name, "--output-dir", emptied(home / "out"))
    return {FILE_RATE: files / seconds, "files": files}


def loop(commands: Sequence[Sequence[str]]) -> Metrics:
    """Run one curl after the other."""
    begun = time.perf_counter()
    with pinned(CLIENT_CORES):
        for command in commands:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - the suite's own commands
    return {FILE_RATE: len(commands) / (time.perf_counter() - begun), "files": len(commands)}


def emptied(folder: Path) -> Path:
    """A folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
