"""Runs side by side: what differs among up to 200 of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.errors import DoesNotExist
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate
from modelyard.services.tracking.run_columns import Cell, Column, Kind, read_cells
from modelyard.terms.filters import Entity

MAX_RUNS = 200
MAX_COMPARED = 40  # metrics, and as many parameters, that are told apart; those that most of the runs have


@dataclass(frozen=True, slots=True)
class Field:
    """A metric or parameter of all compared runs, in their order; `changes` from the baseline, where numbers are."""

    column: Column
    cells: Sequence[Cell]
    changes: Sequence[float | None]

    @property
    def differs(self) -> bool:
        """Whether not all runs have the same."""
        return len({repr(cell) for cell in self.cells}) > 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs, and their fields; `hidden` are the same in all of them."""

    runs: Sequence[Candidate]
    fields: Sequence[Field]
    hidden: int
    cut: bool  # whether the runs have more metrics or parameters than are compared


def compare(
    registry: Registry, project_id: int, iids: Sequence[int], *, baseline: int | None = None, everything: bool = False
) -> Comparison:
    """Those of a project's runs that exist, the `baseline` first. Raises DoesNotExist where there are none."""
    runs = registry.run_tables.by_iids(project_id, iids[:MAX_RUNS])
    if not runs:
        raise DoesNotExist("None of these runs exists")
    runs.sort(key=lambda run: run.iid != baseline)  # the others stay in their order
    ids = [run.id for run in runs]
    metrics = registry.run_tables.usual_keys(ids, Entity.METRIC, MAX_COMPARED + 1)
    params = registry.run_tables.usual_keys(ids, Entity.PARAM, MAX_COMPARED + 1)
    columns = [
        *(Column(Kind.METRIC, name) for name in sorted(metrics[:MAX_COMPARED])),
        *(Column(Kind.PARAM, p) for p in sorted(params[:MAX_COMPARED])),
    ]
    cells = read_cells(registry, ids, columns)
    fields = []
    for number, column in enumerate(columns):
        row = [cells[id_][number] for id_ in ids]
        changes = [_change(row[0], cell) for cell in row] if runs[0].iid == baseline else [None] * len(row)
        fields.append(Field(column, row, changes))
    shown = fields if everything or len(runs) == 1 else [each for each in fields if each.differs]
    cut = max(len(metrics), len(params)) > MAX_COMPARED
    return Comparison(runs, shown, len(fields) - len(shown), cut)


def _change(before: Cell, now: Cell) -> float | None:
    if isinstance(before, float) and isinstance(now, float) and math.isfinite(before) and math.isfinite(now):
        return now - before
    return None
