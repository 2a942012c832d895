"""Files on their way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from modelyard_client.cli.amounts import Rate, shown_bytes, shown_files, shown_seconds
from modelyard_client.cli.common import Output, printing
from modelyard_client.cli.filters import Filtering, chosen_files, filtering, selection_of
from modelyard_client.errors import Partly
from modelyard_client.local.walking import Walk
from modelyard_client.pull.pulling import PullOptions
from modelyard_client.push.pushing import PushOptions
from modelyard_client.results import Transfer

Command = Callable[..., Any]


def moving(command: Command) -> Command:
    """Give a command the options that both directions have."""
    options = [
        click.option("-n", "--dry-run", is_flag=True, help="Show what would be done, and change nothing."),
        click.option("-j", "--jobs", type=click.IntRange(1, 64), default=8, show_default=True, help="Connections."),
        click.option("--limit-rate", type=Rate(), help="Bytes a second, such as 10M, of all connections together."),
    ]
    for option in reversed(options):
        command = option(command)
    return printing(filtering(command))


@click.command(cls=Filtering)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("target")
@click.option("--create", is_flag=True, help="Make the project, the model and the version that are not there.")
@click.option("--into", metavar="FOLDER", help="Put the files below a folder of the version.")
@click.option("--hidden", is_flag=True, help="Send hidden files of folders, too.")
@click.option("--no-links", is_flag=True, help="Leave out what is a link within a folder.")
@moving
def push(
    paths: tuple[Path, ...],
    target: str,
    create: bool,
    into: str | None,
    hidden: bool,
    no_links: bool,
    rules: tuple[str, ...],
    dry_run: bool,
    jobs: int,
    limit_rate: int | None,
    output: Output,
) -> None:
    """Send files, and what is in folders, to a version.

    What the version has already costs no byte; what was left off before goes on. A folder's files get their paths
    within it; its .modelyardignore names what stays here.
    """
    prefix = f"{into.strip('/')}/" if into and into.strip("/") else ""
    walk = Walk(selection_of(rules), hidden=hidden, links=not no_links, prefix=prefix)
    options = PushOptions(create=create, dry_run=dry_run, jobs=jobs, limit=limit_rate)
    with output.registry(output.progress()) as registry:
        _report(lambda: registry.push(paths, target, walk=walk, options=options), output, "sent")


@click.command(cls=Filtering)
@chosen_files("Where to put the files")
@click.option("--cache", "cached", is_flag=True, help="Keep what comes, and take what was kept; see `myd cache`.")
@click.option("--offline", is_flag=True, help="Ask no server: take what was kept by --cache, or fail.")
@moving
def pull(
    target: str,
    names: tuple[str, ...],
    folder: Path,
    cached: bool,
    offline: bool,
    rules: tuple[str, ...],
    dry_run: bool,
    jobs: int,
    limit_rate: int | None,
    output: Output,
) -> None:
    """Bring the files of a version, or those of some NAMEs or folders.

    A file appears, in place of what has its name, once its SHA-256 is right. What is there already is not fetched, and
    what was left off before goes on.
    """
    options = PullOptions(
        names,
        selection_of(rules),
        dry_run=dry_run,
        jobs=jobs,
        limit=limit_rate,
        cached=cached,
        offline=offline,
    )
    with output.registry(output.progress()) as registry:
        _report(lambda: registry.pull(target, folder, options=options), output, "received")


def _report(move: Callable[[], Transfer], output: Output, done: str) -> None:
    try:
        transfer = move()
    except Partly as error:
        output.data(error.transfer, [])
        raise
    planned = [f"{file.outcome}  {file.path}" for file in transfer.files if file.outcome == "planned"]
    output.data(transfer, planned)
    output.tell(_sentence(transfer, done))


def _sentence(transfer: Transfer, done: str) -> str:
    kinds = [file.outcome for file in transfer.files]
    moved, present, planned = (
        kinds.count("sent") + kinds.count("received"),
        kinds.count("present") + kinds.count("cached"),
        kinds.count("planned"),
    )
    if planned:
        return f"{shown_files(planned)} would be {done}, {present} are there"
    rate = f" ({shown_bytes(transfer.bytes / transfer.seconds)}/s)" if transfer.bytes and transfer.seconds else ""
    told = f"{shown_files(moved)} {done}, {shown_bytes(transfer.bytes)} in {shown_seconds(transfer.seconds)}{rate}"
    return f"{told}; {present} were there" if present else told
