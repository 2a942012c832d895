"""`python -m bench`: measure rows, print their tables, and leave them with a picture in the work folder."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from bench import machine, picture, report, tools
from bench.measure import Result, measure
from bench.rows import ROWS, Row, named
from bench.scale import FULL, QUICK, Scale, chosen
from bench.stage import Stage

HERE = Path(__file__).resolve().parent
KEPT, PICTURE = HERE / "last.json", "last.svg"
ENDED = 128 + signal.SIGTERM  # as a shell has it


@click.command()
@click.option("--rows", "names", default="", help="Names of rows, separated by blanks; all if none is named.")
@click.option("--quick", is_flag=True, help="Small sizes: shows that it works, measures nothing.")
@click.option("--set", "settings", multiple=True, metavar="NAME=NUMBER", help="A size, such as many_mib=256.")
@click.option(
    "--work", type=click.Path(path_type=Path), default=tools.ROOT / ".bench", help="Where everything is kept."
)
@click.option("--modelyard", "program", type=click.Path(path_type=Path, exists=True), help="The program to measure.")
@click.option("--keep", is_flag=True, help="Keep the rows as the last ones in bench/README.md.")
@click.option("--list", "listed", is_flag=True, help="List the rows and exit.")
def main(
    names: str, quick: bool, settings: tuple[str, ...], work: Path, program: Path | None, keep: bool, listed: bool
) -> None:
    """Measure modelyard beside nginx and MLflow."""
    if quick and keep:
        raise click.UsageError("figures of a quick run are not worth keeping")
    try:
        rows, scale = named(names), chosen(QUICK if quick else FULL, settings)
        found = (program or tools.modelyard()).absolute()
        tools.debian("curl")
    except (ValueError, tools.MissingError) as error:
        raise click.ClickException(str(error)) from error
    if listed:
        click.echo("\n".join(f"{row.name:14}{row.titled(scale)}" for row in rows))
        return
    work.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(ENDED))  # so that servers end with the suite
    results = _measured(rows, scale, work.resolve(), found)
    _leave(results, work / "results" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    if keep:
        _keep(results)
    if len(results) < len(rows):
        raise click.ClickException(f"{len(rows) - len(results)} of {len(rows)} rows were not measured")


def _measured(rows: Sequence[Row], scale: Scale, work: Path, program: Path) -> list[Result]:
    for warning in machine.warnings(work):
        click.echo(f"warning: {warning}", err=True)
    about = machine.described(work) | {
        "modelyard": tools.version(program).split()[-1],
        "day": f"{datetime.now(UTC):%F}",
    }
    os.sched_setaffinity(0, machine.CLIENT_CORES)
    results = []
    for row in rows:
        if result := _attempt(row, Stage(scale, work, program)):
            result.about = about | result.about
            results.append(result)
            click.echo("\n" + report.table(result, about))
    return results


def _attempt(row: Row, stage: Stage) -> Result | None:
    click.echo(f"{row.name} ", nl=False, err=True)
    try:
        return measure(row, stage)
    except (tools.MissingError, RuntimeError, OSError) as error:
        click.echo(f" not measured: {error}", err=True)
        return None


def _leave(results: Sequence[Result], folder: Path) -> None:
    report.write(results, folder)
    if results:
        picture.draw(results, folder / "picture.svg")
    click.echo(f"table and picture are in {folder}", err=True)


def _keep(results: Sequence[Result]) -> None:
    rows = report.merged(report.read(KEPT), results, [row.name for row in ROWS])
    KEPT.write_text(report.as_text(rows))
    report.embed(HERE / "README.md", f"![The main figures as bars]({PICTURE})\n\n{report.markdown(rows)}")
    picture.draw(rows, HERE / PICTURE)


if __name__ == "__main__":
    main()
