"""The picture: for each row the contenders' main metric as bars, with the least and the most of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.measure import Result
from bench.metrics import number

COLUMNS = 2
WIDTH, HEIGHT = 6.0, 2.2  # inches of one row's part
SUBJECT, OTHER = "#2563a8", "#a9b4c0"


def draw(results: Sequence[Result], path: Path) -> None:
    """Draw all results into a file, whose ending names the format."""
    lines = -(-len(results) // COLUMNS)
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 8})
    figure = Figure(figsize=(WIDTH * COLUMNS, HEIGHT * lines), layout="constrained")
    grid = figure.subplots(lines, COLUMNS, squeeze=False)
    for axes in grid.flat[len(results) :]:
        axes.set_axis_off()
    for axes, result in zip(grid.flat, results, strict=False):
        _draw_row(axes, result)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw_row(axes: Axes, result: Result) -> None:
    metric = result.metrics[0]
    found = {name: figure for name in result.samples if (figure := result.figure(name, metric))}
    medians = [figure.median for figure in found.values()]
    below = [figure.median - figure.least for figure in found.values()]
    above = [figure.most - figure.median for figure in found.values()]
    colours = [SUBJECT if name == result.subject else OTHER for name in found]
    bars = axes.barh(list(found), medians, xerr=[below, above], color=colours, ecolor="#444444")
    axes.bar_label(bars, [number(value) for value in medians], padding=4)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.set_title(f"{result.row}: {metric}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
