"""What a second worker brings; both cores are shared with the client, which takes its own part of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.contenders.modelyard import MLFLOW, Modelyard
from bench.machine import ALL_CORES
from bench.rows.small_reads import filled, getting
from bench.stage import Contender, Stage

COUNTS = {"two workers": 2, "one worker": 1}
MODEL_PATH = f"{MLFLOW}/api/2.0/mlflow/registered-models/get?name=model"


def files(stage: Stage) -> list[Contender]:
    """Small files: the cheapest request, beside which the client's part is at its largest."""
    wrk, path = stage.wrk(), stage.small()
    return [getting(name, filled(server, path), path, wrk) for name, server in _servers(stage)]


def calls(stage: Stage) -> list[Contender]:
    """A call of MLflow's: work for Python and the database."""
    wrk = stage.wrk()

    def calling(name: str, server: Modelyard) -> Contender:
        target = replace(server.file("any"), path=MODEL_PATH)
        return Contender(name, lambda: server.server.watched(lambda: wrk.get(target)))

    return [calling(name, server) for name, server in _servers(stage)]


def _servers(stage: Stage) -> Iterator[tuple[str, Modelyard]]:
    for name, count in COUNTS.items():
        yield name, stage.modelyard(name.replace(" ", "-"), workers=count, cores=ALL_CORES)
