"""Many small files on their way up by Hugging Face's own command, beside PUTs of the same files."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from bench.contenders.modelyard import Modelyard
from bench.load import hub
from bench.metrics import Metrics
from bench.stage import Contender, Stage


def folder(stage: Stage) -> list[Contender]:
    """A folder into a new model each time; every file is new."""
    server, files, connections = stage.modelyard(), stage.scale.hub_files, stage.scale.connections
    sent, serials = stage.folder("sent") / "files", count()

    def put() -> Metrics:
        hub.fill(sent, files)
        return server.server.watched(lambda: hub.put(server, sent, files, connections))

    contenders = []
    if program := stage.hub():
        contenders.append(Contender("hf upload", lambda: _upload(server, program, sent, files, next(serials))))
    return [*contenders, Contender(f"PUT, {connections} connections", put)]


def _upload(server: Modelyard, program: Path, sent: Path, files: int, serial: int) -> Metrics:
    hub.fill(sent, files)
    repository = f"root/uploaded-{serial}"
    return server.server.watched(lambda: hub.upload(program, server, repository, sent, files))
