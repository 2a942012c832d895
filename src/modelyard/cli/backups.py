"""`backup` and `restore`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelyard import logs
from modelyard.blobs.open import open_store
from modelyard.cli.common import FOLDER, opened, say
from modelyard.settings import load_settings

if TYPE_CHECKING:
    from modelyard.services.backup.copying import Copy
    from modelyard.services.backup.tally import Summary


@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--database-only", is_flag=True, help="Leave the blobs where they are, say in a bucket.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backup(folder: Path, database_only: bool, as_json: bool) -> None:
    """Make DIR a backup of the registry, or bring the one that is there up to date; beside a running server.

    May be interrupted and run again. Exit 1 when blobs of the registry are missing or damaged; the rest is backed up.
    """
    from modelyard.registry.snapshots import snapshots_of  # noqa: PLC0415 - with Alembic, which a start does without
    from modelyard.services.backup.taking import back_up  # noqa: PLC0415 - most commands do without

    with opened() as (settings, database, store):
        snapshots = snapshots_of(settings.effective_database_url)
        summary = back_up(database, snapshots, store, folder, with_blobs=not database_only, watch=_shown)
    _report(summary, as_json)


@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def restore(folder: Path, as_json: bool) -> None:
    """Restore the backup in DIR into the empty database and blob store that the settings name.

    May be interrupted and run again. Exit 1 when blobs of the backup are missing or damaged; the rest is restored.
    """
    from modelyard.registry.snapshots import snapshots_of  # noqa: PLC0415 - as above
    from modelyard.services.backup.restore import restore as restore_from  # noqa: PLC0415 - as above

    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format)
    snapshots = snapshots_of(settings.effective_database_url)
    _report(restore_from(snapshots, open_store(settings), folder, watch=_shown), as_json)


def _shown(copies: Iterable[Copy], total: int) -> Iterator[Copy]:
    """Show on a terminal how far it is."""
    with click.progressbar(
        copies, length=total, label="blobs", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as shown:
        yield from shown


def _report(summary: Summary, as_json: bool) -> None:
    if as_json:
        say(json.dumps(dataclasses.asdict(summary)))
    else:
        blobs = summary.manifest.blobs
        say(
            f"{summary.manifest.created_at}\t{blobs.count} blobs\t{blobs.size} bytes\t{summary.linked} linked"
            f"\t{summary.copied} copied\t{summary.present} present\t{summary.removed} removed"
        )
        for fault in summary.faults:
            say(f"{fault.outcome}\t{fault.sha256}\t{fault.size} bytes")
    if summary.faults:
        sys.exit(1)
