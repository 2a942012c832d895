"""How long one waits for a server."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bench.contenders.mlflow import Mlflow
from bench.contenders.modelyard import Modelyard
from bench.metrics import PEAK, SECONDS, Metrics
from bench.stage import Contender, Stage
from bench.tree import peak_mib

PAUSE = 0.002  # seconds between two looks


def to_health(stage: Stage) -> list[Contender]:
    """On data that is there, which is every start but the first, and on an empty folder."""
    folder = stage.folder("modelyard")

    def again() -> Metrics:
        return _timed(lambda: Modelyard(stage.program, folder))

    def first() -> Metrics:
        return _timed(lambda: Modelyard(stage.program, _emptied(stage.folder("first"))))

    contenders = [Contender("modelyard", again), Contender("modelyard, first start", first)]
    if program := stage.mlflow_program():
        kept = stage.folder("mlflow")
        contenders.append(Contender("mlflow", lambda: _timed(lambda: Mlflow(program, kept))))
    return contenders


def _timed(start: Callable[[], Modelyard | Mlflow]) -> Metrics:
    begun = time.perf_counter()
    started = start()
    try:
        started.wait(PAUSE)
        seconds = time.perf_counter() - begun
        return {SECONDS: seconds, PEAK: peak_mib(started.server.pid)}
    finally:
        started.server.stop()


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder)
    return folder
