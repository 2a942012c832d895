"""The machine: which cores serve and which drive, and what a reader of figures must know of it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Cores = frozenset[int]

ALL_CORES: Cores = frozenset(os.sched_getaffinity(0))
_ORDERED = sorted(ALL_CORES)
SERVER_CORES: Cores = frozenset(_ORDERED[:1])
CLIENT_CORES: Cores = frozenset(_ORDERED[1:2] or _ORDERED[:1])


@contextmanager
def pinned(cores: Cores) -> Iterator[None]:
    """Run the block, and every process that it starts, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def described(work: Path) -> dict[str, str]:
    """What the figures depend on: processor, cores, memory, kernel, Python and the file system of `work`."""
    return {
        "processor": _line_value(Path("/proc/cpuinfo"), "model name"),
        "cores": f"{len(ALL_CORES)}, servers on {min(SERVER_CORES)}, clients on {min(CLIENT_CORES)}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}, TCP by {_congestion_control()}",
        "python": platform.python_version(),
        "file system": file_system(work),
    }


def file_system(folder: Path) -> str:
    """The kind of file system that holds a folder, such as ext4."""
    command = ["df", "--output=fstype", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]  # noqa: S603


def warnings(work: Path) -> list[str]:
    """Reasons for which figures from this machine mislead."""
    found = []
    if SERVER_CORES == CLIENT_CORES:
        found.append("one core only: servers and clients share it")
    if file_system(work) in {"tmpfs", "ramfs", "overlay"}:
        found.append("the work folder is no disk: what is durable costs nothing here; choose another with --work")
    if _congestion_control() == "bbr":
        found.append("TCP is paced by bbr, between the machine's own processes too, which slows large transfers")
    if os.getloadavg()[0] > 1:
        found.append(f"the machine was busy at the start: load {os.getloadavg()[0]:.1f}")
    return found


def _congestion_control() -> str:
    return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()


def _line_value(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"
