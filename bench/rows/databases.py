"""The same requests on PostgreSQL, which shares the clients' core, and on SQLite."""

from __future__ import annotations

from collections.abc import Iterator

from bench.contenders.modelyard import API, Modelyard
from bench.contenders.target import Target
from bench.rows.small_reads import filled, getting
from bench.rows.small_writes import putting
from bench.rows.tracking import tracking_calls
from bench.stage import Contender, Stage


def reading(stage: Stage) -> list[Contender]:
    """Small downloads, while nobody writes."""
    wrk, path = stage.wrk(), stage.small()
    return [getting(name, filled(server, path), path, wrk) for name, server in _servers(stage)]


def mixed(stage: Stage) -> list[Contender]:
    """Nine small downloads to one small upload in another project."""
    wrk, path = stage.wrk(), stage.small()

    def mixing(name: str, server: Modelyard) -> Contender:
        target, prefix = filled(server, path).file(path.name), _other_project(server).path
        return Contender(name, lambda: server.server.watched(lambda: wrk.mixed(target, prefix)))

    return [mixing(*each) for each in _servers(stage)]


def writing(stage: Stage) -> list[Contender]:
    """Small uploads."""
    wrk = stage.wrk()
    return [putting(name, server, wrk) for name, server in _servers(stage)]


def tracking(stage: Stage) -> list[Contender]:
    """MLflow's calls, one after the other."""
    return [tracking_calls(name, server, stage.scale) for name, server in _servers(stage)]


def _servers(stage: Stage) -> Iterator[tuple[str, Modelyard]]:
    yield "on PostgreSQL", stage.on_postgresql()
    yield "on SQLite", stage.modelyard()


def _other_project(server: Modelyard) -> Target:
    client = server.client()
    client.call("POST", f"{API}/projects", {"name": "other"})
    client.call("POST", f"{API}/projects/root%2Fother/ml/mlflow/api/2.0/mlflow/runs/create", {"experiment_id": "0"})
    client.close()
    return server.file_of("root%2Fother", "candidate:1", "small-")
