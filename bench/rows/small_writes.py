"""Small files on their way up, each kept for good before it is acknowledged."""

from __future__ import annotations

from bench.contenders.target import FileServer
from bench.load.durable import bare_creates
from bench.load.payload import SMALL
from bench.load.wrk import Wrk
from bench.stage import Contender, Stage


def put_small(stage: Stage) -> list[Contender]:
    """New files of 1 KiB, beside MLflow, which syncs nothing, and beside the bare work of keeping a file."""
    wrk, folder, seconds = stage.wrk(), stage.folder("bare"), stage.scale.load_seconds
    contenders = [putting("modelyard", stage.modelyard(), wrk)]
    if mlflow := stage.mlflow():
        contenders.append(putting("mlflow, not durable", mlflow, wrk))
    return [*contenders, Contender("bare durable creation, one thread", lambda: bare_creates(folder, seconds))]


def put_many(stage: Stage) -> list[Contender]:
    """New files of 4 KiB, as a folder of small ones has them."""
    wrk, folder, seconds = stage.wrk(), stage.folder("bare"), stage.scale.load_seconds
    modelyard = putting("modelyard", stage.modelyard(), wrk, size=4 * SMALL)
    return [modelyard, Contender("bare durable creation of 1 KiB, one thread", lambda: bare_creates(folder, seconds))]


def putting(name: str, server: FileServer, wrk: Wrk, size: int = SMALL) -> Contender:
    """PUT new files of so many bytes, over and over."""
    target = server.file("small-")
    return Contender(name, lambda: server.server.watched(lambda: wrk.put(target, size)))
