"""`python -m bench.revocation`: a token is revoked through one of three replicas while others are read with it.

PostgreSQL, an S3 server, three replicas and nginx share the machine with the load generator, which holds its
connections on the two replicas that the token is not revoked through. What is sent after the answer to that must be
refused by every replica, else the command fails: by 401, or by 429, where the load generator has used the token too
often by then.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from bench import tools
from bench.contenders.modelyard import API
from bench.contenders.s3 import S3
from bench.contenders.target import Target
from bench.load.wrk import Wrk
from bench.machine import ALL_CORES
from bench.metrics import P99, RATE, number
from bench.process import HOST
from bench.replicas import Yard, running

REPLICAS, OTHERS = 3, 2
REFUSALS = {401, 429}


@click.command()
@click.option("--work", type=click.Path(path_type=Path), default=tools.ROOT / ".bench", help="Where data is kept.")
@click.option("--connections", default=32, help="Connections of the load generator.")
@click.option("--seconds", default=6, help="How long each figure is measured, and the token read with.")
def main(work: Path, connections: int, seconds: int) -> None:
    """Print the rate of small downloads before and after, and what each replica says of the token."""
    program = tools.debian("wrk")
    through, direct = Wrk(program, connections, seconds), Wrk(program, connections // OTHERS, seconds)
    with _yard(work) as yard:
        _print_rate("before", through, yard.file)
        client = yard.replicas[0].client()
        me = client.call("GET", f"{API}/user")["id"]
        asked = {"name": "revoked", "scopes": ["read_api"]}
        token = client.call("POST", f"{API}/users/{me}/personal_access_tokens", asked)
        header = f"Authorization: Bearer {token['token']}"
        targets = [Target(each.port, yard.file.path, (header,)) for each in yard.replicas]
        with ThreadPoolExecutor(OTHERS) as executor:
            loads = [executor.submit(direct.get_until_refused, target) for target in targets[1:]]
            time.sleep(seconds / 2)
            client.send("DELETE", f"{API}/personal_access_tokens/{token['id']}")
            said = [_status(target) for target in (*targets, Target(yard.file.port, yard.file.path, (header,)))]
        for target, load in zip(targets[1:], loads, strict=True):
            answered = load.result()
            click.echo(f"port {target.port}: {answered['requests']} answers, of which {answered['refused']} refuse it")
        click.echo(f"first answers after the revocation, by each replica and nginx: {said}")
        _print_rate("after", through, yard.file)
    if not set(said) <= REFUSALS or not all(load.result()["refused"] for load in loads):
        raise click.ClickException("a revoked token was served")


def _print_rate(when: str, wrk: Wrk, target: Target) -> None:
    wrk.get(target)  # unmeasured: connections are made, caches filled
    metrics = wrk.get(target)
    click.echo(f"{when}: {number(metrics[RATE])} {RATE} through nginx, {number(metrics[P99])} {P99}")


def _status(target: Target) -> int:
    connection = http.client.HTTPConnection(HOST, target.port, timeout=60)
    connection.request("GET", target.path, headers=dict(header.split(": ", 1) for header in target.headers))
    status = connection.getresponse().status
    connection.close()
    return status


@contextmanager
def _yard(work: Path) -> Iterator[Yard]:
    folder = work / "data" / "revocation"
    with ExitStack() as stack:
        bucket = S3(work / "data" / "s3", ALL_CORES)
        stack.callback(bucket.server.stop)
        yield stack.enter_context(running(folder, work, REPLICAS, bucket.settings))


if __name__ == "__main__":
    main()
