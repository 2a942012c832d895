"""`python -m bench.tracking_at_size`: MLflow's searches and gets over 100 000 runs and 10 000 versions."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import click

from bench import tools
from bench.contenders.modelyard import Modelyard, migrate
from bench.rest import Client
from bench.seed_tracking import Sizes, fresh_project, run_id, seed

ROUNDS = 7
FILTERS = (
    "metrics.m1 > 0.5",
    "metrics.m1 > 0.9999",
    "params.lr = 'lr-7'",
    "params.lr != 'lr-7'",
    "params.lr LIKE 'lr-77%'",
    "tags.team = 'team-7'",
    "status = 'RUNNING'",
    "run_name LIKE '%9999%'",
    "metrics.m1 > 0.1 AND params.optimizer = 'optimizer-3' AND tags.team != 'team-9'",
    "metrics.m1 > 0.9 AND metrics.m2 > 0.9 AND metrics.m3 > 0.9",
)
ORDERS = ("metrics.m1 DESC", "metrics.none DESC", "params.lr ASC", "tags.team DESC", "run_name", "end_time DESC")


@dataclass(frozen=True)
class Call:
    """A request to be timed."""

    label: str
    method: str
    path: str
    body: dict[str, object] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)


@click.command()
@click.option("--work", type=click.Path(path_type=Path), default=tools.ROOT / ".bench", help="Where data is kept.")
@click.option("--runs", default=Sizes.runs, help="How many runs there are.")
def main(work: Path, runs: int) -> None:
    """Print the median and the longest of some requests, in milliseconds, client and JSON included."""
    program, folder = tools.modelyard(), work / f"tracking-{runs}"
    project = _prepared(program, folder, Sizes(runs))
    yard = Modelyard(program, folder)
    try:
        yard.wait()
        client, base = yard.client(), f"/api/v4/projects/{project}/ml/mlflow/api/2.0/mlflow/"
        for call in _calls():
            _measure(client, base, call)
        _walk(client, base)
    finally:
        yard.server.stop()


def _prepared(program: Path, folder: Path, sizes: Sizes) -> int:
    """The id of the seeded project; what is there already is used again."""
    kept = folder / "project"
    if not kept.exists():
        migrate(program, folder)
        yard = Modelyard(program, folder)
        yard.wait()
        project = fresh_project(yard.client())
        yard.server.stop()
        seed(folder / "modelyard.db", project, sizes)
        kept.write_text(str(project))
    return int(kept.read_text())


def _calls() -> Iterator[Call]:
    yield _search("runs, a page of 200")
    yield _search("runs, a page of 1000", max_results=1000)
    yield _search("runs, a page of 50000", max_results=50_000)
    for text in FILTERS:
        yield _search(text, filter=text)
    for order in ORDERS:
        yield _search(f"by {order}", order_by=[order])
    yield Call("get a run", "GET", "runs/get", query={"run_id": run_id(77)})
    yield Call("get a metric's history", "GET", "metrics/get-history", query={"run_id": run_id(77), "metric_key": "m1"})
    yield Call("experiments", "POST", "experiments/search")
    yield Call("models", "GET", "registered-models/search")
    yield Call("get a model", "GET", "registered-models/get", query={"name": "model-500"})
    yield Call("versions", "GET", "model-versions/search")
    yield Call("versions of a model", "GET", "model-versions/search", query={"filter": "name = 'model-500'"})
    yield Call("get a version", "GET", "model-versions/get", query={"name": "model-500", "version": "1.0.3"})
    points = [{"key": f"b{i % 20}", "value": i / 2, "timestamp": i, "step": i} for i in range(1000)]
    yield Call("log-batch of 1000 metrics", "POST", "runs/log-batch", {"run_id": run_id(500), "metrics": points})


def _search(label: str, **body: object) -> Call:
    return Call(label, "POST", "runs/search", {"experiment_ids": ["1"], **body})


def _send(client: Client, base: str, call: Call) -> tuple[float, bytes]:
    path = f"{base}{call.path}?{urlencode(call.query)}" if call.query else base + call.path
    body = json.dumps(call.body).encode() if call.method == "POST" else None
    begun = time.perf_counter()
    answer = client.send(call.method, path, body, "application/json")
    return (time.perf_counter() - begun) * 1000, answer


def _measure(client: Client, base: str, call: Call) -> None:
    _send(client, base, call)
    _print(call.label, [_send(client, base, call)[0] for _ in range(ROUNDS)])


def _walk(client: Client, base: str) -> None:
    """Every page of 200 runs, to show that the last ones cost what the first do."""
    times, token = [], None
    while True:
        took, answer = _send(client, base, _search("", page_token=token))
        times.append(took)
        token = json.loads(answer)["next_page_token"]
        if token is None:
            break
    _print(f"all {len(times)} pages of 200 runs", times)


def _print(label: str, times: list[float]) -> None:
    click.echo(f"{label:82}{statistics.median(times):8.1f}{max(times):8.1f}")


if __name__ == "__main__":
    main()
