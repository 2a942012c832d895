"""What a second worker brings."""

from __future__ import annotations

from bench.machine import ALL_CORES
from bench.rows.small_reads import filled, getting
from bench.stage import Contender, Stage


def two(stage: Stage) -> list[Contender]:
    """Two workers and one; both may use all cores, of which the client needs its share."""
    wrk, path = stage.wrk(), stage.small()
    return [
        getting(
            name, filled(stage.modelyard(name.replace(" ", "-"), workers=workers, cores=ALL_CORES), path), path, wrk
        )
        for name, workers in (("two workers", 2), ("one worker", 1))
    ]
