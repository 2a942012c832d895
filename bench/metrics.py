"""What is measured: the names that tables show, each with its unit in it."""

from __future__ import annotations

from typing import Final

Metrics = dict[str, float]

MIB: Final = 1 << 20
GIB: Final = 1 << 30

SPEED: Final = "MiB/s"
CPU_PER_GIB: Final = "CPU s/GiB"
CPU_PER_REQUEST: Final = "CPU ms/request"
PEAK: Final = "peak MiB"
CPU_PER_FILE: Final = "CPU ms/file"
FILE_RATE: Final = "files/s"
SERVER_RATE: Final = "files/s of the server's time"
RATE: Final = "requests/s"
P50: Final = "p50 ms"
P99: Final = "p99 ms"
SECONDS: Final = "seconds"
FAIRNESS: Final = "slowest / mean"
SLOW_SPEED: Final = "slow reader KiB/s"


def number(value: float) -> str:
    """A value with three significant digits or all its whole ones, thousands set apart."""
    if value == 0:
        return "0"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3  # noqa: PLR2004
    return f"{value:,.{digits}f}".replace(",", " ")
