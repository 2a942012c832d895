"""Requests that read little: how many a second, and how long each takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from bench.contenders.modelyard import HUB_MODEL, Modelyard
from bench.contenders.target import FileServer, Target
from bench.load import curl
from bench.load.wrk import Wrk
from bench.stage import Contender, Stage

S = TypeVar("S", bound=FileServer)


def get_small(stage: Stage) -> list[Contender]:
    """A file of 1 KiB; only modelyard asks who wants it."""
    wrk, path = stage.wrk(), stage.small()
    contenders = [getting("modelyard", filled(stage.modelyard(), path), path, wrk)]
    if nginx := stage.nginx():
        contenders.append(getting("nginx", nginx, path, wrk))
    if mlflow := stage.mlflow():
        contenders.append(getting("mlflow, no token", filled(mlflow, path), path, wrk))
    return contenders


def resolve(stage: Stage) -> list[Contender]:
    """The same file as Hugging Face's clients get it, beside the file API's."""
    wrk, path = stage.wrk(), stage.small()
    server = filled(stage.modelyard(), path)
    target = replace(server.file(path.name), path=f"/{HUB_MODEL}/resolve/1.0.0/{path.name}")
    return [
        Contender("resolve", lambda: server.server.watched(lambda: wrk.get(target))),
        getting("GET 1 KiB", server, path, wrk),
    ]


def authorize(stage: Stage) -> list[Contender]:
    """Whether an upload would be taken, beside a download, of the same server."""
    wrk, path = stage.wrk(), stage.small()
    server = filled(stage.modelyard(), path)
    return [_authorizing(server, path, wrk), getting("GET 1 KiB", server, path, wrk)]


def filled(server: S, path: Path) -> S:
    """The server, with the file at `path` uploaded under its name."""
    curl.put(server.file(path.name), path)
    return server


def getting(name: str, server: FileServer, path: Path, wrk: Wrk) -> Contender:
    """GET the file that was uploaded from `path`, over and over."""
    target = server.file(path.name)
    return Contender(name, lambda: server.server.watched(lambda: wrk.get(target)))


def _authorizing(server: Modelyard, path: Path, wrk: Wrk) -> Contender:
    file = server.file(path.name)
    target: Target = replace(file, path=file.path + "/authorize")
    return Contender("authorize", lambda: server.server.watched(lambda: wrk.call(target, "PUT")))
