"""What is to go."""

from __future__ import annotations

import sys

import click

from modelyard_client.cli.amounts import shown_files
from modelyard_client.cli.common import Output, printing
from modelyard_client.errors import UsageMistake


@click.command()
@click.argument("target")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--whole-version", is_flag=True, help="Remove the version itself, which TARGET has to name.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@printing
def rm(target: str, names: tuple[str, ...], whole_version: bool, yes: bool, output: Output) -> None:
    """Remove files by their NAMEs, or those of folders, with what they have replaced; or a whole version."""
    if whole_version == bool(names):
        raise UsageMistake("Name the files that are to go, or say --whole-version")
    if not yes:
        what = "the whole version" if whole_version else ", ".join(names)
        if not sys.stdin.isatty():
            raise UsageMistake(f"Nobody is there to be asked whether {what} is to go: say --yes")
        click.confirm(f"Remove {what} of {target}?", abort=True, err=True)
    with output.registry() as registry:
        removed: list[str] = []
        if whole_version:
            registry.remove_version(target)
        else:
            removed = registry.remove(target, names)
    output.data({"target": target, "removed": removed, "whole_version": whole_version}, [])
    output.tell(f"Removed: {target if whole_version else f'{shown_files(len(removed))} of {target}'}")
