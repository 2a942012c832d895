"""Small files on their way up, each kept for good before it is acknowledged."""

from __future__ import annotations

from bench.contenders.target import FileServer
from bench.load.durable import bare_creates
from bench.load.wrk import Wrk
from bench.stage import Contender, Stage


def put_small(stage: Stage) -> list[Contender]:
    """New files of 1 KiB, beside MLflow, which syncs nothing, and beside the bare work of keeping a file."""
    wrk, folder, seconds = stage.wrk(), stage.folder("bare"), stage.scale.load_seconds
    contenders = [_putting("modelyard", stage.modelyard(), wrk)]
    if mlflow := stage.mlflow():
        contenders.append(_putting("mlflow, not durable", mlflow, wrk))
    return [*contenders, Contender("bare durable creation, one thread", lambda: bare_creates(folder, seconds))]


def _putting(name: str, server: FileServer, wrk: Wrk) -> Contender:
    target = server.file("small-")
    return Contender(name, lambda: server.server.watched(lambda: wrk.put(target)))
