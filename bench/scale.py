"""How large the rows are: the full sizes, the small ones of a smoke run, and any of them chosen by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Scale:
    """Sizes of all rows. `_mib` is MiB, `_seconds` seconds, `_kib_s` KiB/s, everything else a count."""

    rounds: int = 5
    get_mib: int = 2048
    put_mib: int = 1024
    parts: int = 8
    connections: int = 16
    load_seconds: int = 5
    many_transfers: int = 32
    many_mib: int = 1024
    hub_files: int = 2_000
    slow_readers: int = 200
    slow_kib_s: int = 64
    slow_gets: int = 4
    files: int = 1_000_000
    versions: int = 10_000
    projects: int = 1_000
    tokens: int = 10_000
    page_requests: int = 20
    runs: int = 200
    page_runs: int = 10_000
    page_files: int = 10_000
    curve_points: int = 100_000
    call_seconds: int = 3


FULL = Scale()
QUICK = Scale(
    rounds=2,
    get_mib=128,
    put_mib=64,
    load_seconds=1,
    many_mib=16,
    hub_files=200,
    files=20_000,
    versions=400,
    projects=40,
    tokens=400,
    page_requests=5,
    runs=20,
    page_runs=500,
    page_files=500,
    curve_points=5_000,
    call_seconds=1,
)


def chosen(base: Scale, settings: Iterable[str]) -> Scale:
    """`base` with settings such as `many_mib=256` applied. Raises ValueError for one that is not a size."""
    names = {field.name for field in fields(Scale)}
    values: dict[str, int] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in names or not value.isdigit() or int(value) < 1:
            raise ValueError(f"{setting!r} is not NAME=NUMBER with a name among {', '.join(sorted(names))}")
        values[name] = int(value)
    return replace(base, **values)
