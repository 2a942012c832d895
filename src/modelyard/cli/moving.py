"""`copy-blobs`: moving to another store."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from modelyard import logs
from modelyard.blobs.open import open_store
from modelyard.cli.common import print_items
from modelyard.services import copying
from modelyard.services.copying import Copy
from modelyard.settings import load_settings


@click.command("copy-blobs")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def copy_blobs(source: str, target: str, as_json: bool) -> None:
    """Copy and verify every blob that is not there yet; FROM and TO are file:///path or s3://bucket/prefix.

    May be run beside a server, and again until nothing is left to copy; exit 1 when a blob is damaged.
    """
    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format)
    copies: list[Copy] = []

    def noted() -> Iterator[Copy]:
        for copy in copying.copy_blobs(open_store(settings, source), open_store(settings, target)):
            copies.append(copy)
            yield copy

    print_items(noted(), as_json, lambda c: f"{c.outcome}\t{c.sha256}\t{c.size} bytes")
    if any(copy.outcome != "copied" for copy in copies):
        sys.exit(1)
