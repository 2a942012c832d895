"""`python -m bench.replicas`: requests a second by the number of replicas, behind nginx, with PostgreSQL.

All share the machine's cores, the load generator included: the table shows what each request costs whom, and how far
the replicas carry before the machine is full.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from bench import tools, tree
from bench.contenders.balancer import Balancer
from bench.contenders.modelyard import Modelyard
from bench.contenders.postgresql import Postgresql
from bench.contenders.target import Target
from bench.load.payload import small_payload
from bench.load.wrk import Wrk
from bench.machine import ALL_CORES
from bench.metrics import P99, RATE, Metrics, number

COLUMNS = ("replicas", "request", RATE, P99, "ms of CPU: modelyard", "PostgreSQL", "nginx", "cores busy")


@dataclass(frozen=True)
class Yard:
    """The servers, and one file that they all give."""

    replicas: Sequence[Modelyard]
    postgresql: Postgresql
    balancer: Balancer
    file: Target  # through the balancer

    def cpu(self) -> list[float]:
        """Seconds of CPU so far, of the replicas together, PostgreSQL and nginx."""
        return [
            sum(tree.cpu_seconds(each.server.pid) for each in self.replicas),
            tree.cpu_seconds(self.postgresql.server.pid),
            tree.cpu_seconds(self.balancer.server.pid),
        ]


@click.command()
@click.option("--work", type=click.Path(path_type=Path), default=tools.ROOT / ".bench", help="Where data is kept.")
@click.option("--replicas", "counts", default="1,2,3", help="Numbers of replicas, separated by commas.")
@click.option("--connections", default=32, help="Connections of the load generator.")
@click.option("--seconds", default=5, help="How long each figure is measured.")
def main(work: Path, counts: str, connections: int, seconds: int) -> None:
    """Print a table of small downloads, uploads and questions by the number of replicas."""
    wrk = Wrk(tools.debian("wrk"), connections, seconds)
    click.echo(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for count in map(int, counts.split(",")):
        with running(work / "data" / f"replicas-{count}", work, count) as yard:
            for name, run in _requests(yard, wrk):
                run()  # unmeasured: connections are made, caches filled
                click.echo(f"| {' | '.join([str(count), name, *_measured(yard, run, seconds)])} |")


def _requests(yard: Yard, wrk: Wrk) -> Iterator[tuple[str, Callable[[], Metrics]]]:
    file = yard.file
    put = Target(file.port, f"{file.path}-", file.headers)
    authorize = Target(file.port, f"{file.path}/authorize?size=1024", file.headers)
    yield "GET of 1 KiB", lambda: wrk.get(file)
    yield "authorize", lambda: wrk.call(authorize, "PUT")
    yield "PUT of 1 KiB", lambda: wrk.put(put)


def _measured(yard: Yard, run: Callable[[], Metrics], seconds: int) -> list[str]:
    before = yard.cpu()
    metrics = run()
    spent = [after - earlier for after, earlier in zip(yard.cpu(), before, strict=True)]
    each = [number(used * 1000 / metrics["requests"]) for used in spent]
    return [number(metrics[RATE]), number(metrics[P99]), *each, number(sum(spent) / seconds)]


@contextmanager
def running(folder: Path, work: Path, count: int, settings: Mapping[str, str] | None = None) -> Iterator[Yard]:
    """So many replicas on PostgreSQL behind nginx, their blobs in a folder unless `settings` say otherwise."""
    shutil.rmtree(folder, ignore_errors=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgresql = Postgresql(folder / "database", ALL_CORES)
        stack.callback(postgresql.stop)
        blobs = {"MODELYARD_BLOB_URL": f"file://{folder.resolve()}/blobs"}
        shared = {"MODELYARD_DATABASE_URL": postgresql.url} | blobs | dict(settings or {})
        replicas: list[Modelyard] = []
        for serial in range(count):
            if replicas:
                shared["MODELYARD_ROOT_TOKEN"] = replicas[0].token
            replica = Modelyard(tools.modelyard(), folder / f"replica-{serial}", cores=ALL_CORES, settings=shared)
            stack.callback(replica.server.stop)
            replica.wait()
            replicas.append(replica)
        balancer = Balancer(
            tools.debian("nginx"), (folder / "nginx").resolve(), [each.port for each in replicas], ALL_CORES
        )
        stack.callback(balancer.server.stop)
        first = replicas[0].file("small")
        replicas[0].client().send("PUT", first.path, small_payload(work / "payloads").read_bytes())
        yield Yard(replicas, postgresql, balancer, Target(balancer.port, first.path, first.headers))


if __name__ == "__main__":
    main()
