"""Small requests by wrk: one thread, connections that stay open, and percentiles from all its samples."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from bench.contenders.target import Target
from bench.load.payload import SMALL
from bench.machine import Cores
from bench.metrics import P50, P99, RATE, Metrics
from bench.process import output_of

SCRIPT = Path(__file__).with_suffix(".lua")


class Wrk:
    """wrk with a number of connections for a number of seconds, on `cores` or where the suite runs."""

    def __init__(self, program: Path, connections: int, seconds: int, cores: Cores | None = None) -> None:
        self._cores = cores
        self._command = [str(program), "--threads=1", f"--connections={connections}", f"--duration={seconds}s"]

    def get(self, target: Target) -> Metrics:
        """GET one file over and over."""
        return self._run(target, [])

    def get_until_refused(self, target: Target) -> dict[str, int]:
        """GET one file over and over, which is refused from some moment on: how many `requests`, how many `refused`."""
        return _said(self._output(target, []))

    def get_each(self, target: Target, paths: Path) -> Metrics:
        """GET the paths that a file lists, one a line, in turn; `target` gives the port and the headers."""
        return self._run(target, ["get", str(paths)])

    def call(self, target: Target, method: str) -> Metrics:
        """Send one request without a body over and over."""
        return self._run(target, ["call", method])

    def put(self, target: Target, size: int = SMALL) -> Metrics:
        """PUT files of so many bytes, each of new content under a new name that begins with the target's path."""
        return self._run(target, ["put", target.path, secrets.token_hex(8), str(size)])

    def mixed(self, target: Target, prefix: str) -> Metrics:
        """GET one file nine times for each PUT of 1 KiB under a new name that begins with a path."""
        return self._run(target, ["mixed", prefix, secrets.token_hex(8)])

    def _run(self, target: Target, arguments: Sequence[str]) -> Metrics:
        return _metrics(self._output(target, arguments), target)

    def _output(self, target: Target, arguments: Sequence[str]) -> str:
        headers = [f"--header={header}" for header in target.headers]
        command = [*self._command, "--timeout=60s", f"--script={SCRIPT}", *headers, target.url, "--", *arguments]
        return output_of(command, cores=self._cores)


def _said(output: str) -> dict[str, int]:
    said: dict[str, int] = json.loads(output.strip().splitlines()[-1])
    return said


def _metrics(output: str, target: Target) -> Metrics:
    said = _said(output)
    if said["refused"] or said["failed"]:
        raise RuntimeError(f"{target.url}: {said['refused']} requests refused, {said['failed']} failed")
    return {
        RATE: said["requests"] * 1e6 / said["microseconds"],
        P50: said["p50"] / 1000,
        P99: said["p99"] / 1000,
        "requests": said["requests"],
    }
