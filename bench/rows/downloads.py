"""Large files on their way down."""

from __future__ import annotations

from pathlib import Path

from bench.contenders.target import FileServer
from bench.load import curl
from bench.load.transfers import all_at_once, download
from bench.machine import CLIENT_CORES, pinned
from bench.metrics import SPEED, Metrics
from bench.stage import Contender, Stage


def whole(stage: Stage) -> list[Contender]:
    """One file, on one connection."""
    path = stage.payload(stage.scale.get_mib)
    contenders = [_whole("modelyard", _filled(stage.modelyard(), path), path)]
    if nginx := stage.nginx():
        contenders.append(_whole("nginx", nginx, path))
    if mlflow := stage.mlflow():
        contenders.append(_whole("mlflow", _filled(mlflow, path), path))
    return contenders


def received(stage: Stage) -> list[Contender]:
    """One file, for a client that does nothing but receive it, as curl does not."""
    path = stage.payload(stage.scale.get_mib)
    contenders = [_received("modelyard", _filled(stage.modelyard(), path), path)]
    if nginx := stage.nginx():
        contenders.append(_received("nginx", nginx, path))
    return contenders


def ranges(stage: Stage) -> list[Contender]:
    """The same file, in equal parts, each on a connection of its own."""
    path, parts = stage.payload(stage.scale.get_mib), stage.scale.parts
    contenders = [_ranges("modelyard", _filled(stage.modelyard(), path), path, parts)]
    if nginx := stage.nginx():
        contenders.append(_ranges("nginx", nginx, path, parts))
    return contenders


def _filled(server: FileServer, path: Path) -> FileServer:
    curl.put(server.file(path.name), path)
    return server


def _whole(name: str, server: FileServer, path: Path) -> Contender:
    target, size = server.file(path.name), path.stat().st_size
    return Contender(name, lambda: server.server.watched(lambda: curl.get(target, size), size=size))


def _received(name: str, server: FileServer, path: Path) -> Contender:
    target, size = server.file(path.name), path.stat().st_size

    def receive() -> Metrics:
        with pinned(CLIENT_CORES):
            return {SPEED: all_at_once([download(target)])[0]}

    return Contender(name, lambda: server.server.watched(receive, size=size))


def _ranges(name: str, server: FileServer, path: Path, parts: int) -> Contender:
    target, size = server.file(path.name), path.stat().st_size
    return Contender(name, lambda: server.server.watched(lambda: curl.get_parts(target, size, parts), size=size))
