"""Runs of an experiment in a table of chosen columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from modelyard.registry.repository import Registry
from modelyard.registry.search.runs import ArtifactUris, View
from modelyard.registry.tables import Candidate, Experiment
from modelyard.registry.tracking.run_tables import Selection
from modelyard.services.tracking.run_columns import MAX_COLUMNS, Cell, Column, parse_columns, read_cells, usual_columns
from modelyard.terms.filters import Entity, Key, Order, parse_filter
from modelyard.terms.paths import artifact_uri

MAX_PINNED = 4  # which stay in sight beside the names of runs
ROWS = 100  # of a page
MAX_OPEN = 10  # runs whose children are shown below them
MOST_COUNTED = 100_000  # runs; more are not told apart

ATTRIBUTES = ("start_time", "run_name", "status", "end_time")  # which are always shown, and sorted by


@dataclass(frozen=True, slots=True)
class Wanted:
    """A table as its URL asks for it; columns None: those that most runs have."""

    columns: Sequence[Column] | None = None
    pinned: Sequence[Column] = field(default_factory=list)  # which come before the others
    filter: str = ""
    sort: str = ""  # a column, or one of ATTRIBUTES
    descending: bool = True
    view: View = View.ACTIVE_ONLY
    flat: bool = False  # children among the others
    parent: int | None = None  # the iid of the run whose children are shown
    open: Sequence[int] = field(default_factory=list)  # iids of runs below which children are shown
    after: int | None = None  # the iid of the last run of the page before
    differing: bool = False  # only columns whose cells differ

    @property
    def nested(self) -> bool:
        """Whether children are kept below their parents: a filter finds them wherever they are."""
        return not (self.flat or self.filter.strip() or self.parent is not None)


@dataclass(frozen=True, slots=True)
class Row:
    """A run, its cells in the order of the columns, how many children it has, and those that are shown."""

    run: Candidate
    cells: Sequence[Cell]
    children: int = 0
    opened: Sequence[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Table:
    """One page of runs."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    more: bool
    count: int  # of all pages; MOST_COUNTED for that many or more
    hidden: int = 0  # columns that are left out, as their cells are the same
    parent: Candidate | None = None


def selection_of(registry: Registry, experiment: Experiment, wanted: Wanted) -> tuple[Selection, Candidate | None]:
    """Which runs are asked for, and the one whose children they are. Raises InvalidValue, and Malformed for a filter
    that is none.
    """
    clauses = parse_filter(wanted.filter)
    parent = registry.runs.by_iid(experiment.project_id, wanted.parent) if wanted.parent is not None else None
    uris = ArtifactUris(artifact_uri(experiment.project_id, ""))
    ring = registry.rings.of_experiment(experiment.id, wanted.view) if wanted.nested else frozenset()
    return Selection(
        experiment.id,
        uris,
        wanted.view,
        clauses,
        _orders(wanted),
        wanted.nested and ring is not None,  # what cannot be told apart is shown
        ring or frozenset(),
        (parent.eid if parent else "") if wanted.parent is not None else None,
    ), parent


def show_table(registry: Registry, experiment: Experiment, wanted: Wanted) -> Table:
    """One page of an experiment's runs, as `selection_of`."""
    selection, parent = selection_of(registry, experiment, wanted)
    last = registry.runs.by_iid(experiment.project_id, wanted.after) if wanted.after is not None else None
    runs, more = registry.run_tables.select(selection, last.id if last else None, ROWS)
    ids = [run.id for run in runs]
    columns = list(wanted.columns) if wanted.columns is not None else usual_columns(registry, ids)
    columns = list(dict.fromkeys([*wanted.pinned, *columns]))[:MAX_COLUMNS]
    counts = registry.run_tables.children(experiment.id, [run.eid for run in runs], wanted.view) if runs else {}
    opened = _opened(registry, selection, [run for run in runs if run.iid in wanted.open and run.eid in counts])
    below = [child for children in opened.values() for child in children]
    cells = read_cells(registry, [*ids, *(child.id for child in below)], columns)
    rows = [
        Row(
            run,
            cells[run.id],
            counts.get(run.eid, 0),
            [Row(child, cells[child.id]) for child in opened.get(run.id, [])],
        )
        for run in runs
    ]
    count = registry.run_tables.count(selection, MOST_COUNTED)
    table = Table(columns, rows, more, count, parent=parent)
    return only_differing(table) if wanted.differing else table


def children_of(wanted: Wanted, iid: int) -> Wanted:
    """The table of a run's children."""
    return replace(wanted, parent=iid, open=[])


def only_differing(table: Table) -> Table:
    """A table without the columns that have the same in all its rows."""
    rows = [row for each in table.rows for row in (each, *each.opened)]
    kept = [number for number in range(len(table.columns)) if len({repr(row.cells[number]) for row in rows}) > 1]

    def without(row: Row) -> Row:
        cells = [row.cells[number] for number in kept]
        return replace(row, cells=cells, opened=[without(child) for child in row.opened])

    columns = [table.columns[number] for number in kept]
    hidden = len(table.columns) - len(kept)
    return replace(table, columns=columns, rows=[without(row) for row in table.rows], hidden=hidden)


def count_runs(registry: Registry, experiment: Experiment, wanted: Wanted) -> int:
    """How many runs a table has on all its pages, MOST_COUNTED for that many or more."""
    return registry.run_tables.count(selection_of(registry, experiment, wanted)[0], MOST_COUNTED)


def read_rows(
    registry: Registry, experiment: Experiment, wanted: Wanted, after: int | None, limit: int, *, whole: bool
) -> tuple[list[Row], int | None]:
    """The next rows, with all of their texts where they are to be `whole`, behind the run with the id `after`; the last
    one's id if more follow.
    """
    selection, _parent = selection_of(registry, experiment, wanted)
    runs, more = registry.run_tables.select(selection, after, limit, whole=whole)
    cells = read_cells(registry, [run.id for run in runs], wanted.columns or [], whole=whole)
    return [Row(run, cells[run.id]) for run in runs], runs[-1].id if more else None


def matching_ids(registry: Registry, experiment: Experiment, wanted: Wanted) -> list[int]:
    """The ids of all runs that a table has on all its pages."""
    return registry.run_tables.ids(selection_of(registry, experiment, wanted)[0], MOST_COUNTED)


def _opened(registry: Registry, selection: Selection, runs: Sequence[Candidate]) -> dict[int, list[Candidate]]:
    """The first children of some runs, by the ids of these."""
    found = {}
    for run in runs[:MAX_OPEN]:
        below = replace(selection, nested=False, parent=run.eid)
        found[run.id] = registry.run_tables.select(below, None, ROWS)[0]
    return found


def _orders(wanted: Wanted) -> list[Order]:
    if wanted.sort in ATTRIBUTES:
        return [Order(Key(Entity.ATTRIBUTE, wanted.sort), wanted.descending)]
    columns = parse_columns([wanted.sort])
    key = columns[0].key if columns else None
    return [Order(key, wanted.descending)] if key else []
