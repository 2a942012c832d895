"""Large files on their way up, beside MLflow, which hashes and syncs nothing, and beside what cannot be gone below."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from bench.contenders.floor import Floor
from bench.contenders.target import FileServer, Target
from bench.load import curl, tus
from bench.load.payload import stamp
from bench.load.transfers import all_at_once, upload
from bench.machine import ALL_CORES, pinned
from bench.metrics import MIB, SPEED, Metrics
from bench.stage import Contender, Stage

BLOCK = 2 * MIB
Put = Callable[[Target, Path], Metrics]


def raw(stage: Stage) -> list[Contender]:
    """The body is the file."""
    return _contenders(stage, curl.put)


def form(stage: Stage) -> list[Contender]:
    """The file is a part of a form; those beside it take it as the body."""
    return _contenders(stage, curl.put_form)


def resumable(stage: Stage) -> list[Contender]:
    """The file comes by tus, in pieces that are durable one by one; beside it the same file in one PUT."""
    server, path = stage.modelyard(), stage.payload(stage.scale.put_mib)
    return [
        _upload("modelyard, tus", stage, server, path, tus.upload, file="pieces"),
        _upload("modelyard, one PUT", stage, server, path, curl.put),
    ]


def whole_machine(stage: Stage) -> list[Contender]:
    """Four uploads at once with nothing pinned, beside the barest server, and what one core hashes."""
    return _unpinned(stage, 4)


def alone(stage: Stage) -> list[Contender]:
    """One upload with nothing pinned, beside the same."""
    return _unpinned(stage, 1)


def _unpinned(stage: Stage, uploads: int) -> list[Contender]:
    path, serials = stage.payload(stage.scale.put_mib), count()
    size = path.stat().st_size

    floor = stage.floor(ALL_CORES)

    def uploading(name: str, server: FileServer, file: str) -> Contender:
        def send() -> Metrics:
            wanted = [upload(server.file(f"{file}-{next(serials)}"), path) for _ in range(uploads)]
            begun = time.perf_counter()
            all_at_once(wanted)
            return {SPEED: uploads * size / MIB / (time.perf_counter() - begun)}

        def run() -> Metrics:
            floor.clear()
            stage.forget_uploads()
            with pinned(ALL_CORES):
                return server.server.watched(send, size=uploads * size)

        return Contender(name, run)

    return [
        uploading("modelyard", stage.modelyard(cores=ALL_CORES), "uploaded"),
        uploading("bare: received, hashed, written by a thread each", floor, "apart"),
        Contender("hashlib's SHA-256, one core", lambda: _hashed(path)),
    ]


def _hashed(path: Path) -> Metrics:
    """What hashlib does with a block that is in the processor's cache."""
    blocks = path.stat().st_size // BLOCK
    with path.open("rb") as file:
        block = file.read(BLOCK)
    digest, begun = hashlib.sha256(), time.perf_counter()
    for _ in range(blocks):
        digest.update(block)
    return {SPEED: blocks * BLOCK / MIB / (time.perf_counter() - begun)}


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
