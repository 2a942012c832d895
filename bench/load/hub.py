"""Folders of small files: as Hugging Face's command sends them, and as PUTs of the same."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from bench.contenders.modelyard import Modelyard
from bench.load.curl import CURL
from bench.machine import CLIENT_CORES
from bench.metrics import FILE_RATE, SERVER_RATE, Metrics
from bench.process import HOST, output_of

SIZE = 4096
PER_FOLDER = 100
SPENT = re.compile(rb'"ms":([\d.]+)')


def fill(folder: Path, files: int) -> None:
    """New files of 4 KiB under `folder`, a hundred in each of its folders, in place of those that are there."""
    for number in range(files):
        path = folder / f"{number // PER_FOLDER:03}" / f"{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(SIZE))


def upload(program: Path, server: Modelyard, repository: str, folder: Path, files: int) -> Metrics:
    """Files sent in a second by the command from its start to its end, and in one of those in which the server worked.

    The latter by what the server's log tells of each request; the command sends one after the other.
    """
    told, log = server.server.log.stat().st_size, server.server.log
    environment = {
        "HF_ENDPOINT": f"http://{HOST}:{server.port}",
        "HF_TOKEN": server.token,
        "HF_HOME": str(folder.parent),
    }
    begun = time.perf_counter()
    output_of([str(program), "upload", repository, str(folder)], environment, cores=CLIENT_CORES)
    seconds = time.perf_counter() - begun
    with log.open("rb") as lines:
        lines.seek(told)
        spent = sum(float(found[1]) for line in lines if (found := SPENT.search(line))) / 1000
    return {FILE_RATE: files / seconds, SERVER_RATE: files / spent, "files": files}


def put(server: Modelyard, folder: Path, files: int, connections: int) -> Metrics:
    """The same files by one curl, one request each."""
    config = folder.parent / "curl.config"
    targets = [(path, server.file(f"{path.parent.name}/{path.name}")) for path in sorted(folder.glob("*/*"))]
    lines = [f'upload-file = "{path}"\nurl = "{target.url}"\noutput = "/dev/null"' for path, target in targets]
    headers = "\n".join(f'header = "{header}"' for header in server.headers)
    config.write_text("\nnext\n".join(f"{headers}\n{line}" for line in lines))
    command = [*CURL, "--parallel", "--parallel-max", str(connections), "--config", str(config)]
    begun = time.perf_counter()
    output_of(command, cores=CLIENT_CORES)
    return {FILE_RATE: files / (time.perf_counter() - begun), "files": files}
