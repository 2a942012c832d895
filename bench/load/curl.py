"""Large transfers by curl, timed from its start to its end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from bench.contenders.target import Target
from bench.metrics import MIB, SPEED, Metrics

CURL = ("curl", "--silent", "--show-error", "--fail")
NOWHERE = ("--output", "/dev/null")


def get(target: Target, size: int, times: int = 1) -> Metrics:
    """Download `size` bytes whole to nowhere, `times` one after the other on one connection."""
    each = [*NOWHERE, target.url]
    return _timed([[*CURL, *_headers(target), *each * times]], size * times)


def get_parts(target: Target, size: int, parts: int) -> Metrics:
    """Download `size` bytes as ranges of equal length, all at once."""
    edges = [size * part // parts for part in range(parts + 1)]
    ranges = [f"{first}-{after - 1}" for first, after in pairwise(edges)]
    return _timed([[*CURL, *_headers(target), *NOWHERE, "--range", each, target.url] for each in ranges], size)


def put(target: Target, path: Path) -> Metrics:
    """Upload a file as the body itself."""
    command = [*CURL, *_headers(target), *NOWHERE, "--upload-file", str(path), target.url]
    return _timed([command], path.stat().st_size)


def put_form(target: Target, path: Path) -> Metrics:
    """Upload a file as the part `file` of a form."""
    command = [*CURL, *_headers(target), *NOWHERE, "--request", "PUT", "--form", f"file=@{path}", target.url]
    return _timed([command], path.stat().st_size)


def put_nothing(target: Target, length: int) -> Metrics:
    """Ask the floor to do `length` bytes of work on its own memory: a `Content-Length` with no body after it."""
    command = [*CURL, *NOWHERE, "--request", "PUT", "--header", f"Content-Length: {length}", target.url]
    return _timed([command], length)


def _headers(target: Target) -> list[str]:
    return [word for header in target.headers for word in ("--header", header)]


def _timed(commands: Sequence[Sequence[str]], size: int) -> Metrics:
    begun = time.perf_counter()
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]  # noqa: S603
    complaints = [process.communicate()[1] for process in running]
    seconds = time.perf_counter() - begun
    if any(process.returncode for process in running):
        raise RuntimeError(f"{commands[0][-1]}: {''.join(complaints).strip()}")
    return {SPEED: size / MIB / seconds}
