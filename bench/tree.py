"""What a process and all that it started have used, from /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
RESET_PEAK = "5"  # as proc(5) has it of clear_refs

# Places in /proc/PID/stat after the name, which may hold blanks.
_PARENT, _SESSION, _FIRST_TIME, _LAST_TIME, _BEGUN = 1, 3, 11, 14, 19


def members(root: int) -> list[int]:
    """Ids of the process `root`, its descendants, and whatever else is left in its session."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    found: list[int] = []
    for pid, fields in _all_stats():
        children[int(fields[_PARENT])].append(pid)
        if pid == root or int(fields[_SESSION]) == root:
            found.append(pid)
    for pid in found:
        found.extend(child for child in children[pid] if child not in found)
    return found


def cpu_seconds(root: int) -> float:
    """User and system CPU seconds of the tree so far, its ended children that were waited for included."""
    tree = set(members(root))
    ticks = sum(
        sum(int(tick) for tick in fields[_FIRST_TIME : _LAST_TIME + 1]) for pid, fields in _all_stats() if pid in tree
    )
    return ticks / TICKS_PER_SECOND


def peak_mib(root: int) -> float:
    """Sum over the tree of the most resident memory (VmHWM) since the last reset, in MiB."""
    return sum(_peak_kib(pid) for pid in members(root)) / 1024


def reset_peak(root: int) -> None:
    """Let the peaks of the tree begin at what is resident now."""
    for pid in members(root):
        try:
            (PROC / str(pid) / "clear_refs").write_text(RESET_PEAK)
        except OSError:  # it ended meanwhile, or the kernel has no such reset: the peak is then since the start
            continue


def begun(pids: Iterable[int]) -> dict[int, str]:
    """When each of the processes that are there began, which tells it from a later one with its id."""
    wanted = set(pids)
    return {pid: fields[_BEGUN] for pid, fields in _all_stats() if pid in wanted}


def _all_stats() -> list[tuple[int, list[str]]]:
    stats = []
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:  # it ended meanwhile
                continue
            stats.append((int(folder.name), text.rpartition(")")[2].split()))
    return stats


def _peak_kib(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:  # it ended meanwhile
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
