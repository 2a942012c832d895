"""What `myd pull --cache` has kept."""

from __future__ import annotations

import click

from modelyard_client.cli.amounts import shown_bytes, shown_files
from modelyard_client.cli.common import Output, printing_alone
from modelyard_client.errors import Mismatch
from modelyard_client.local.blobs import Blobs
from modelyard_client.local.places import cache_folder
from modelyard_client.stopping import Stop


@click.group()
def cache() -> None:
    """Look after what `myd pull --cache` has kept."""


@cache.command()
@printing_alone
def verify(output: Output) -> None:
    """Read all that is kept, and forget what was changed since; the exit status is 5 where that is something."""
    damaged = Blobs(cache_folder()).damaged(Stop())
    output.data({"forgotten": damaged}, damaged)
    if damaged:
        raise Mismatch(f"{shown_files(len(damaged))} changed since they were kept, and forgotten now")
    output.tell("All that is kept is as it was")


@cache.command()
@click.option("--days", type=click.FloatRange(0), default=30, show_default=True, help="For which it was not used.")
@printing_alone
def prune(days: float, output: Output) -> None:
    """Forget what was not used for some days; 0 forgets all."""
    count, size = Blobs(cache_folder()).prune(days)
    output.data({"files": count, "bytes": size}, [])
    output.tell(f"Forgotten: {shown_files(count)}, {shown_bytes(size)}")
