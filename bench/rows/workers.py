"""What a second worker and a second core bring, both of them shared with the client, which takes its own part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.contenders.modelyard import MLFLOW, Modelyard
from bench.load.wrk import Wrk
from bench.machine import ALL_CORES, CLIENT_CORES, SERVER_CORES
from bench.rows.small_reads import filled, getting
from bench.stage import Contender, Stage

MODEL_PATH = f"{MLFLOW}/api/2.0/mlflow/registered-models/get?name=model"


def files(stage: Stage) -> list[Contender]:
    """Small files: the cheapest request, beside which the client's part is at its largest."""
    path = stage.small()
    return [getting(name, filled(server, path), path, wrk) for name, server, wrk in _servers(stage)]


def calls(stage: Stage) -> list[Contender]:
    """A call of MLflow's: work for Python and the database, beside which the client's part is small."""

    def calling(name: str, server: Modelyard, wrk: Wrk) -> Contender:
        target = replace(server.file("any"), path=MODEL_PATH)
        return Contender(name, lambda: server.server.watched(lambda: wrk.get(target)))

    return [calling(*each) for each in _servers(stage)]


def _servers(stage: Stage) -> Iterator[tuple[str, Modelyard, Wrk]]:
    """A single worker has one core: on two, its own threads make it slower."""
    yield "two workers", stage.modelyard("two-workers", workers=2, cores=ALL_CORES), stage.wrk(ALL_CORES)
    yield "one worker", stage.modelyard("one-worker", cores=SERVER_CORES), stage.wrk(CLIENT_CORES)
