"""The rows, in the order of the table. Each is a function that sets a stage and returns who is to be measured on it.

The first contender of a row is its subject: ratios are the subject's figure divided by another's in the same round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.rows import (
    buckets,
    client,
    databases,
    downloads,
    filled,
    hub_uploads,
    many,
    pages,
    readers,
    small_reads,
    small_writes,
    start,
    tracking,
    uploads,
    workers,
)
from bench.scale import Scale
from bench.stage import Contender, Stage


@dataclass(frozen=True)
class Row:
    """A line of the suite: `title` may name sizes as `{get_mib}`; `rounds` limits how often it is run."""

    name: str
    title: str
    contenders: Callable[[Stage], list[Contender]]
    rounds: int = 1_000
    warm_up: bool = True

    def titled(self, scale: Scale) -> str:
        """The title with the sizes of this run."""
        return self.title.format(**vars(scale))


ROWS = (
    Row("get-whole", "GET a file of {get_mib} MiB, whole", downloads.whole),
    Row("get-received", "GET a file of {get_mib} MiB by a client that only receives", downloads.received),
    Row("get-ranges", "GET a file of {get_mib} MiB, as {parts} ranges at once", downloads.ranges),
    Row("put-raw", "PUT a file of {put_mib} MiB as the body, hashed and synced", uploads.raw),
    Row("put-machine", "PUT four files of {put_mib} MiB at once with nothing pinned, durable", uploads.whole_machine),
    Row("put-alone", "PUT one file of {put_mib} MiB with nothing pinned, hashed and synced", uploads.alone),
    Row("put-form", "PUT a file of {put_mib} MiB as a form, hashed and synced", uploads.form),
    Row("put-tus", "A file of {put_mib} MiB by tus, in PATCHes of 64 MiB, beside one PUT", uploads.resumable),
    Row("get-bucket", "GET a file of {put_mib} MiB that is in a bucket, and one in a folder", buckets.downloads),
    Row("put-bucket", "PUT a file of {put_mib} MiB into a bucket, and into a folder", buckets.uploads, rounds=3),
    Row("get-small", "GET 1 KiB with a token, {connections} connections", small_reads.get_small),
    Row("resolve", "GET 1 KiB as Hugging Face's clients do, {connections} connections", small_reads.resolve),
    Row("put-small", "PUT 1 KiB, durable, {connections} connections", small_writes.put_small),
    Row("put-many", "PUT 4 KiB, durable, {connections} connections", small_writes.put_many),
    Row("hub-upload", "`hf upload` of {hub_files} files of 4 KiB", hub_uploads.folder, warm_up=False),
    Row("myd-push", "`myd push` of {put_mib} MiB, hashed here and there, beside `curl -T`", client.push),
    Row("myd-pull", "`myd pull` of {put_mib} MiB, verified, beside curl", client.pull),
    Row("myd-push-many", "`myd push` of {hub_files} files of 4 KiB", client.push_many, warm_up=False),
    Row("myd-pull-many", "`myd pull` of {hub_files} files of 4 KiB", client.pull_many, warm_up=False),
    Row("authorize", "Ask authorize, {connections} connections, beside GET of 1 KiB", small_reads.authorize),
    Row(
        "many",
        "{many_transfers} transfers of {many_mib} MiB at once, half up and half down",
        many.transfers,
        rounds=1,
        warm_up=False,
    ),
    Row(
        "slow-readers",
        "GET {get_mib} MiB beside {slow_readers} readers at {slow_kib_s} KiB/s each",
        readers.beside_slow,
    ),
    Row("start", "From the command to the first 200 on health", start.to_health),
    Row("filled-get", "GET 1 KiB from a registry of {files} files, and from an empty one", filled.gets),
    Row("filled-lists", "Pages of 100 from a registry of {files} files", filled.lists),
    Row("workers", "GET 1 KiB from two workers on two cores, and from one on one", workers.files),
    Row("workers-mlflow", "Get a registered model from two workers on two cores, and from one on one", workers.calls),
    Row("tracking", "MLflow's tracking calls, one client", tracking.calls),
    Row("pages", "A page of {runs} runs in a browser that was never there", pages.first_view),
    Row("pages-runs", "Pages of 100 from {page_runs} runs of 20 metrics", pages.many_runs),
    Row("pages-curves", "10 curves of {curve_points} points, 2 000 points of each", pages.long_curves),
    Row("pages-files", "Pages of a version of {page_files} files, its first 100", pages.folders),
    Row("get-postgresql", "GET 1 KiB with a token, {connections} connections, on PostgreSQL", databases.reading),
    Row(
        "mixed-postgresql",
        "Nine GETs to one PUT of 1 KiB in another project, {connections} connections, on PostgreSQL",
        databases.mixed,
    ),
    Row("put-postgresql", "PUT 1 KiB, durable, {connections} connections, on PostgreSQL", databases.writing),
    Row("tracking-postgresql", "MLflow's tracking calls, one client, on PostgreSQL", databases.tracking),
)


def named(names: str) -> list[Row]:
    """The rows that `names` lists, all for an empty text. Raises ValueError for a name that no row has."""
    wanted = names.replace(",", " ").split()
    unknown = set(wanted) - {row.name for row in ROWS}
    if unknown:
        raise ValueError(f"no row is named {', '.join(sorted(unknown))}; there are {', '.join(r.name for r in ROWS)}")
    return [row for row in ROWS if not wanted or row.name in wanted]
