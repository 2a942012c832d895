"""The table: for people as Markdown, for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from bench.measure import Result
from bench.metrics import number

BEGIN, END = "<!-- table -->", "<!-- end of the table -->"


def markdown(results: Sequence[Result]) -> str:
    """What all results share, and a table for each row."""
    shared = _shared(results)
    lines = [f"- {name}: {value}" for name, value in shared.items()]
    return "\n".join([*lines, "", *(table(result, shared) for result in results)])


def table(result: Result, shared: Collection[str] = ()) -> str:
    """A row's medians, `±` half the way from the least to the most, and the ratio in brackets; facts not `shared`."""
    metrics = result.metrics
    lines = [f"**{result.row}**: {result.title}", "", f"| | {' | '.join(metrics)} |", "|---|" + "---:|" * len(metrics)]
    for contender in result.samples:
        cells = (_cell(result, contender, metric) for metric in metrics)
        lines.append(f"| {contender} | {' | '.join(cells)} |")
    facts = [f"{name}: {value}" for name, value in result.about.items() if name not in shared]
    notes = [*([", ".join(facts)] if facts else []), *(f"skipped: {reason}" for reason in result.skipped)]
    return "\n".join([*lines, "", *(line for note in notes for line in (note, ""))]) + "\n"


def write(results: Sequence[Result], folder: Path) -> None:
    """Leave `table.md` and `table.json` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(markdown(results))
    (folder / "table.json").write_text(as_text(results))


def as_text(results: Sequence[Result]) -> str:
    """JSON that `read` takes."""
    return json.dumps([result.as_json() for result in results], indent=1) + "\n"


def read(path: Path) -> list[Result]:
    """The results that `write` left in a JSON file; none if it is not there."""
    return [Result.from_json(each) for each in json.loads(path.read_text())] if path.exists() else []


def merged(kept: Sequence[Result], new: Sequence[Result], order: Sequence[str]) -> list[Result]:
    """The newest result of each row, in this order."""
    by_row = {result.row: result for result in (*kept, *new)}
    return [by_row[name] for name in order if name in by_row]


def embed(page: Path, table: str) -> None:
    """Replace what stands between the two marks of a page."""
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table}{END}{rest.partition(END)[2]}")


def _shared(results: Sequence[Result]) -> dict[str, str]:
    """What holds of every result that says anything of it, so that it need not stand beside each."""
    said = {name: value for result in results for name, value in result.about.items()}
    return {name: value for name, value in said.items() if all(r.about.get(name, value) == value for r in results)}


def _cell(result: Result, contender: str, metric: str) -> str:
    figure, ratio = result.figure(contender, metric), result.ratio(contender, metric)
    if figure is None:
        return ""
    spread = f" ±{figure.spread * 50:.0f}%" if len(result.samples[contender]) > 1 else ""
    return number(figure.median) + spread + (f" ({number(ratio)})" if ratio is not None else "")
