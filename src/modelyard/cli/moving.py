"""`copy-blobs` and `copy-database`: moving to another store, or to another database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from modelyard import logs
from modelyard.blobs.open import FILE_SCHEME, open_store
from modelyard.cli.common import print_items
from modelyard.errors import CommandError
from modelyard.services.backup import copying
from modelyard.services.backup.copying import Copy
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
    if source.rstrip("/") == target.rstrip("/"):
        raise click.UsageError("FROM and TO are the same")
    _refuse_absent(source)
    stores = open_store(settings, source), open_store(settings, target)
    copies: list[Copy] = []

    def noted() -> Iterator[Copy]:
        for copy in copying.copy_blobs(*stores):
            copies.append(copy)
            yield copy

    print_items(noted(), as_json, lambda c: f"{c.outcome}\t{c.sha256}\t{c.size} bytes")
    if any(copy.outcome != "copied" for copy in copies):
        sys.exit(1)


def _refuse_absent(url: str) -> None:
    """A local store is made where there is none, and a mistyped one would look as if all had been copied."""
    if url.startswith(FILE_SCHEME) and not (Path(url.removeprefix(FILE_SCHEME)) / "sha256").is_dir():
        raise CommandError(f"there are no blobs in {url}")


@click.command("copy-database")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def copy_database(source: str, target: str, as_json: bool) -> None:
    """Copy all rows between databases, say from SQLite to PostgreSQL; FROM and TO are as MODELYARD_DATABASE_URL.

    Stop the server first: what is written to FROM meanwhile is not copied. TO must be empty, or freshly migrated.
    """
    from modelyard.services.backup import database_copy  # noqa: PLC0415 - with Alembic, which a start does without

    urls = [load_settings(database_url=url) for url in (source, target)]
    logs.configure(urls[0].log_level, urls[0].log_format)
    copied = database_copy.copy_database(*(each.effective_database_url for each in urls))
    print_items(copied, as_json, lambda table: f"{table.table}\t{table.rows} rows")
