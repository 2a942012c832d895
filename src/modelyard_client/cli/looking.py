"""What there is."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from modelyard_client.cli.amounts import shown_files
from modelyard_client.cli.common import Output, printing
from modelyard_client.cli.filters import Filtering, chosen_files, filtering, selection_of
from modelyard_client.errors import Mismatch
from modelyard_client.pull.pulling import PullOptions


@click.command()
@click.argument("target")
@click.option("--versions", is_flag=True, help="List the versions of group/project/model, the newest first.")
@printing
def ls(target: str, versions: bool, output: Output) -> None:
    """List the files of a version: SHA-256, bytes and name."""
    with output.registry() as registry:
        if versions:
            found = registry.versions(target)
            output.data({"target": target, "versions": found}, [each.version for each in found])
            return
        files = registry.files(target)
    width = max((len(str(file.size)) for file in files), default=0)
    lines = [f"{file.sha256}  {file.size:{width}}  {file.path}" for file in files]
    output.data({"target": target, "files": files}, lines)


@click.command()
@click.argument("target")
@click.argument("name")
@printing
def cat(target: str, name: str, output: Output) -> None:
    """Write a file to standard output as it comes; the exit status is 5 where its SHA-256 was wrong."""
    stdout = sys.stdout.buffer
    with output.registry() as registry:
        for piece in registry.read(target, name):
            stdout.write(piece)
    stdout.flush()


@click.command(cls=Filtering)
@chosen_files("Where the files are")
@filtering
@printing
def verify(target: str, names: tuple[str, ...], folder: Path, rules: tuple[str, ...], output: Output) -> None:
    """Compare files here, read anew, with those of a version; the exit status is 5 where some differ or are missing."""
    options = PullOptions(names, selection_of(rules))
    with output.registry(output.progress()) as registry:
        found = registry.verify(target, folder, options=options)
    lines = [f"{kind}  {path}" for kind in ("missing", "different", "extra") for path in getattr(found, kind)]
    output.data(found, lines)
    if found.missing or found.different:
        count = len(found.missing) + len(found.different)
        raise Mismatch(f"{count} of {shown_files(count + len(found.ok))} not as in {target}")
    output.tell(f"{shown_files(len(found.ok))} as in {target}")
