"""`check` and `gc`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click
import structlog

from modelyard.cli.amounts import BYTES, SECONDS
from modelyard.cli.common import FOLDER, alone, opened, print_items
from modelyard.clock import now
from modelyard.services.backup.folder import kept_by
from modelyard.services.people import audit, credentials
from modelyard.services.upkeep import collecting, results
from modelyard.services.upkeep.checking import Finding, Miscount, check_counts
from modelyard.services.upkeep.checking import check as check_blobs
from modelyard.services.upkeep.expiring import LostUpload, check_uploads
from modelyard.services.upkeep.pace import Pace

log = structlog.get_logger()


@click.command()
@click.option("--read", is_flag=True, help="Read and hash every blob again.")
@click.option("--max-rate", type=BYTES, help="Bytes that are read in a second at most, such as 50M.")
@click.option(
    "--max-time",
    type=SECONDS,
    help="Stop after this time, such as 2h, or after one blob; the next run goes on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(read: bool, max_rate: int | None, max_time: int | None, as_json: bool) -> None:
    """Compare database and blob store; exit 0 when all is well, 1 with a list otherwise, 75 if a check is running.

    Each fault is a log line as well, and the result is told by the server's metrics.
    """
    if (max_rate or max_time) and not read:
        raise click.UsageError("--max-rate and --max-time go with --read")
    task, started_at = results.SCRUB if read else results.CHECK, now()
    with opened() as (_settings, database, store), alone(database, "check"):
        progress = results.Progress(results.stopped_at(database, task) if max_time else "")
        pace = Pace(max_rate, max_time)
        findings: list[Finding | Miscount | LostUpload] = []
        findings += map(_logged, check_blobs(database, store, read=read, pace=pace, progress=progress))
        findings += map(_logged, check_counts(database))
        findings += map(_logged, check_uploads(database, store))
        results.keep(database, task, started_at, len(findings), progress)
    if read:
        log.info("scrub finished", faults=len(findings), bytes=progress.size, complete=progress.complete)
    print_items(findings, as_json, str)
    if findings:
        sys.exit(1)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--keep", multiple=True, type=FOLDER, metavar="DIR", help="Leave what the backup in DIR refers to, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def gc(dry_run: bool, keep: tuple[Path, ...], as_json: bool) -> None:
    """Remove what nothing refers to and is older than the grace period; safe beside a running server.

    Events of the audit trail go as well when they have been kept for long enough, and tokens of jobs and browsers a
    week after their end. Exit 75 if a gc is running already, on this machine or another. Works also where the disk has
    no room for a byte; SQLite's database is then closed to all others meanwhile.
    """
    with opened(on_full_disk=True) as (settings, database, store), alone(database, "gc"), kept_by(keep) as kept:
        started_at = now()
        garbage = list(collecting.collect(database, store, grace=settings.gc_grace, dry_run=dry_run, kept=kept))
        if not dry_run:
            with collecting.where_there_is_room("old events of the audit trail"):
                if forgotten := audit.prune(database, settings.audit_days):
                    log.info("audit events forgotten", count=forgotten, days=settings.audit_days)
            with collecting.where_there_is_room("tokens of jobs and browsers that have ended"):
                if forgotten := credentials.prune(database):
                    log.info("ended tokens forgotten", count=forgotten)
            results.keep(database, results.GC, started_at, len(garbage), collecting.collected(garbage))
    print_items(garbage, as_json, lambda g: f"{g.kind}\t{g.name}\t{g.size} bytes")


def _logged(found: Finding | Miscount | LostUpload) -> Finding | Miscount | LostUpload:
    log.error(found.EVENT, advice=found.ADVICE, **dataclasses.asdict(found))
    return found
