"""Large files on their way up, beside MLflow, which hashes and syncs nothing, and beside what cannot be gone below."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from bench.contenders.floor import Floor
from bench.contenders.target import FileServer, Target
from bench.load import curl
from bench.load.payload import stamp
from bench.metrics import Metrics
from bench.stage import Contender, Stage

Put = Callable[[Target, Path], Metrics]


def raw(stage: Stage) -> list[Contender]:
    """The body is the file."""
    return _contenders(stage, curl.put)


def form(stage: Stage) -> list[Contender]:
    """The file is a part of a form; those beside it take it as the body."""
    return _contenders(stage, curl.put_form)


def _contenders(stage: Stage, put: Put) -> list[Contender]:
    path = stage.payload(stage.scale.put_mib)
    contenders = [_upload("modelyard", stage, stage.modelyard(), path, put)]
    if mlflow := stage.mlflow():
        contenders.append(_upload("mlflow", stage, mlflow, path, curl.put))
    return contenders + _floors(stage, stage.floor(), path)


def _upload(name: str, stage: Stage, server: FileServer, path: Path, put: Put, *, file: str = "uploaded") -> Contender:
    size, serials = path.stat().st_size, count()

    def run() -> Metrics:
        stamp(path)
        stage.forget_uploads()
        target = server.file(f"{file}-{next(serials)}")  # a new one: emptying an old GiB took MLflow 0.4 s
        return server.server.watched(lambda: put(target, path), size=size)

    return Contender(name, run)


def _floors(stage: Stage, floor: Floor, path: Path) -> list[Contender]:
    size, memory = path.stat().st_size, floor.file("hash")
    return [
        _upload("floor", stage, floor, path, curl.put, file="hashed"),
        _upload("floor, receive and write", stage, floor, path, curl.put, file="written"),
        Contender("floor, hash", lambda: floor.server.watched(lambda: curl.put_nothing(memory, size), size=size)),
    ]
