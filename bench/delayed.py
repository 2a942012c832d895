"""A download over a long line: `myd pull` beside one curl, where each round trip takes 100 ms.

    python -m bench.delayed [--mib 1024] [--rounds 3]

As root, and where the kernel has netem, the line is the loopback of a network namespace, which is the script's own and
goes with it. Elsewhere, or with --relay, it is a relay on this loopback: see `bench.load.line`.
"""

from __future__ import annotations

import copy
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from bench import tools
from bench.contenders.modelyard import HEALTH, Modelyard
from bench.load import client, curl
from bench.load.payload import payload
from bench.machine import SERVER_CORES
from bench.metrics import SPEED
from bench.process import Server, free_port

ONE_WAY = 0.05  # seconds
QUEUE = 100_000  # packets on their way
WINDOW = 4 << 20  # bytes, to which Linux lets a sender's buffer grow (net.ipv4.tcp_wmem)
INSIDE = "MODELYARD_BENCH_DELAYED"
NAMESPACE = ("unshare", "--net")
NETEM = ("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", f"{ONE_WAY}s", "limit", str(QUEUE))


@click.command()
@click.option("--mib", default=1024, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--relay", is_flag=True, help="Use the relay even where there is netem.")
def main(mib: int, rounds: int, relay: bool) -> None:
    """Print the speed of both, and their ratio in each round."""
    inside = INSIDE in os.environ
    if not inside and not relay and (complaint := _complaint((*NAMESPACE, *NETEM))):
        click.echo(f"no netem ({complaint}): through a relay with windows of {WINDOW >> 20} MiB", err=True)
        relay = True
    if not inside and not relay:
        command = [*NAMESPACE, sys.executable, "-m", "bench.delayed", f"--mib={mib}", f"--rounds={rounds}"]
        raise SystemExit(subprocess.call(command, env=os.environ | {INSIDE: "1"}))  # noqa: S603 - itself
    for step in (("ip", "link", "set", "lo", "up"), NETEM) if inside else ():
        if complaint := _complaint(step):
            raise click.ClickException(f"{' '.join(step)}: {complaint}")
    work = Path(".bench").absolute()
    work.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=work) as folder:
        home, path = Path(folder), payload(work / "payloads", mib)
        with _server(home, path) as server, _line(server, home) if relay else _direct(server) as reached:
            ratios = [_round(reached, home, path.stat().st_size) for _ in range(rounds)]
    click.echo(f"median: {statistics.median(ratios):.1f} times one curl")


def _complaint(command: tuple[str, ...]) -> str:
    """Why a command does not work here; empty where it does."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the script's own
    except OSError as error:
        return str(error)
    return (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1] if done.returncode else ""


@contextmanager
def _server(home: Path, path: Path) -> Iterator[Modelyard]:
    """A server that has the file."""
    server = Modelyard(tools.modelyard(), home / "server", cores=SERVER_CORES)
    try:
        server.wait()
        curl.put(server.file("large"), path)
        yield server
    finally:
        server.server.stop()


@contextmanager
def _direct(server: Modelyard) -> Iterator[Modelyard]:
    yield server


@contextmanager
def _line(server: Modelyard, home: Path) -> Iterator[Modelyard]:
    """The server as it is reached over the relay."""
    port = free_port()
    program = [sys.executable, "-m", "bench.load.line", str(port), str(server.port), str(ONE_WAY), str(WINDOW)]
    line = Server(program, home / "line.log", {"PYTHONPATH": str(tools.ROOT)})
    try:
        line.wait_until_ready(port, HEALTH)
        far = copy.copy(server)
        far.port = port
        yield far
    finally:
        line.stop()


def _round(server: Modelyard, home: Path, size: int) -> float:
    by_curl = client.curl_to_disk(server.file("large"), home / "curl", size, digest=False)[SPEED]
    by_client = client.pull(server, home, "large", size)[SPEED]
    click.echo(f"curl {by_curl:.1f} MiB/s, myd pull {by_client:.1f} MiB/s: {by_client / by_curl:.1f} times")
    return by_client / by_curl


if __name__ == "__main__":
    main()
