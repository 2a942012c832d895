"""s3rver, an S3 server on a folder, from npm: it neither lists uploads and parts, nor aborts them, nor copies parts."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.environments import ROOT, Steps, installed
from tests.s3 import BUCKET, S3Server

PINS = ROOT / ".constraints" / "s3rver" / "package-lock.json"
START_SECONDS = 30
TELLS = "S3rver listening on 127.0.0.1:"
ACCOUNT = "S3RVER"  # the one that it has
SETTLED = Path(__file__).with_name("s3rver_settled.cjs")


def s3rver_modules() -> Path:
    """Where it and what it needs are, installed from its pins at first. Where that cannot be, CI fails, others skip."""
    return installed("s3rver", PINS, _steps) / "node_modules"


def _steps(folder: Path) -> Steps:
    return (
        ["mkdir", "-p", folder],
        ["cp", PINS.with_name("package.json"), PINS, folder],
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", f"--prefix={folder}"],
    )


@contextmanager
def running_s3rver(folder: Path) -> Iterator[S3Server]:
    """A server with the bucket, whose data lies in an empty folder."""
    modules = s3rver_modules()
    program: list[str | Path] = ["node", "--require", SETTLED, modules / "s3rver" / "bin" / "s3rver.js"]
    data: list[str | Path] = ["--directory", folder / "data", "--configure-bucket", BUCKET, "--no-vhost-buckets"]
    command = [*program, *data, "--address", "127.0.0.1", "--port", "0", "--silent"]
    environment = {**os.environ, "S3RVER_MODULES": str(modules)}
    output = folder / "log"
    with output.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        port = _port(output, process)
        yield S3Server(f"http://127.0.0.1:{port}", ACCOUNT, ACCOUNT, tells_uploads=False)
    finally:
        process.terminate()
        process.wait(10)


def _port(output: Path, process: subprocess.Popen[bytes]) -> int:
    give_up = time.monotonic() + START_SECONDS
    while (lines := output.read_text()).partition(TELLS)[2].endswith("\n") is False:
        if process.poll() is not None or time.monotonic() > give_up:
            raise AssertionError(f"s3rver did not start: {lines}")
        time.sleep(0.05)
    return int(lines.partition(TELLS)[2])
