"""`python -m bench.siege`: what a client's small downloads take while others attack the server."""

from __future__ import annotations

import http.client
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles

import click

from bench import tools, tree
from bench.contenders.modelyard import API, Modelyard
from bench.contenders.target import Target
from bench.machine import ALL_CORES, CLIENT_CORES, pinned
from bench.metrics import number
from bench.process import HOST
from bench.rest import Client
from bench.siege.attackers import KINDS, attacking
from bench.siege.attacks import Host

COLUMNS = ("four attackers each", "requests", "median ms", "of alone", "p99 ms", "peak MiB", "what attackers are told")
RUNS, TAGS = 60, 100
PAUSE_SECONDS = 0.002  # between the client's downloads


@click.command()
@click.option("--work", type=click.Path(path_type=Path), default=tools.ROOT / ".bench", help="Where data is kept.")
@click.option("--seconds", default=60, help="How long each kind attacks.")
@click.option("--each", default=4, help="Attackers of each kind.")
@click.option("--only", default="", help="Kinds that have this in their names.")
def main(work: Path, seconds: int, each: int, only: str) -> None:
    """Print a table of the client's times, alone, beside each kind of attack, and beside all of them at once."""
    folder = (work / "data" / "siege").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    kinds = [kind for kind in KINDS if only in kind]
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yard = Modelyard(tools.modelyard(), folder, cores=ALL_CORES)
        stack.callback(yard.server.stop)
        yard.wait()
        file = yard.file("small")
        yard.client().send("PUT", file.path, bytes(1024))
        host = _prepared(yard.client())
        click.echo(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
        alone = _row(yard, file, "nobody", [], host, seconds, 0, 0.0)
        for kind in kinds:
            _row(yard, file, kind, [kind], host, seconds, each, alone)
        if len(kinds) > 1:
            _row(yard, file, "all at once", kinds, host, seconds, each, alone)


def _row(
    yard: Modelyard, file: Target, name: str, kinds: Sequence[str], host: Host, seconds: int, each: int, alone: float
) -> float:
    """Print a row; the median in seconds."""
    yard.server.settle()
    tree.reset_peak(yard.server.pid)
    with attacking(yard.port, host, kinds, each) as statuses:
        times = _downloads(file, seconds)
        peak = tree.peak_mib(yard.server.pid)
    middle, last = median(times), quantiles(times, n=100)[-1]
    ratio = number(middle / alone) if alone else ""
    told = _told(statuses)
    figures = [str(len(times)), number(middle * 1000), ratio, number(last * 1000), number(peak), told]
    click.echo(f"| {' | '.join([name, *figures])} |")
    return middle


def _downloads(file: Target, seconds: int) -> list[float]:
    """Seconds that each of a client's downloads took. Raises RuntimeError where one is not whole."""
    times, end = [], time.monotonic() + seconds
    headers = dict(line.split(": ", 1) for line in file.headers)
    with pinned(CLIENT_CORES):
        connection = http.client.HTTPConnection(HOST, file.port, timeout=120)
        while time.monotonic() < end:
            begun = time.perf_counter()
            connection.request("GET", file.path, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            times.append(time.perf_counter() - begun)
            if (answer.status, len(content)) != (http.client.OK, 1024):
                raise RuntimeError(f"the client was answered {answer.status}")
            time.sleep(PAUSE_SECONDS)
        connection.close()
    return times


def _told(statuses: Counter[str]) -> str:
    return ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))


def _prepared(client: Client) -> Host:
    """A project with long tags and a long history, a guest in it, and a token that is revoked."""
    project = int(client.call("POST", f"{API}/projects", {"name": "besieged"})["id"])
    user = int(client.call("POST", f"{API}/users", {"username": "guest", "name": "g", "email": "g@example.com"})["id"])
    client.call("POST", f"{API}/projects/{project}/members", {"user_id": user, "access_level": 10})
    tokens = [client.call("POST", f"{API}/users/{user}/personal_access_tokens", _wanted(name)) for name in "ab"]
    client.send("DELETE", f"{API}/personal_access_tokens/{tokens[1]['id']}", b"")
    host = Host(project, str(tokens[0]["token"]), str(tokens[1]["token"]))
    experiment = client.call("POST", host.mlflow("experiments/create"), {"name": "long"})["experiment_id"]
    runs = []
    for _ in range(RUNS):
        run = client.call("POST", host.mlflow("runs/create"), {"experiment_id": experiment})["run"]["info"]["run_id"]
        tags = [{"key": "long", "value": "a" * 65_000}, *({"key": f"t{n}", "value": "b" * 60_000} for n in range(TAGS))]
        for start in range(0, len(tags), 20):
            client.call("POST", host.mlflow("runs/log-batch"), {"run_id": run, "tags": tags[start : start + 20]})
        runs.append(str(run))
    for start in range(0, 20_000, 1000):
        points = [{"key": f"m{n % 50}", "value": n, "timestamp": n, "step": n} for n in range(start, start + 1000)]
        client.call("POST", host.mlflow("runs/log-batch"), {"run_id": runs[0], "metrics": points})
    return Host(project, host.guest, host.revoked, str(experiment), runs[0])


def _wanted(name: str) -> dict[str, object]:
    return {"name": name, "scopes": ["api"]}


if __name__ == "__main__":
    main()
