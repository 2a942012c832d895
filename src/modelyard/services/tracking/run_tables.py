"""Runs of an experiment in a table of chosen columns, and what is done to many of them at once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from modelyard.clock import now
from modelyard.errors import InvalidValue
from modelyard.registry.repository import Registry
from modelyard.registry.search.runs import ArtifactUris, View
from modelyard.registry.tables import Candidate, Experiment
from modelyard.registry.tracking.curves import Outlines
from modelyard.registry.tracking.run_tables import ByRun, Selection
from modelyard.services.tracking.curves import OUTLINE
from modelyard.services.tracking.limits import MAX_KEY, check_tags
from modelyard.services.tracking.run_logging import set_tags
from modelyard.terms.filters import Entity, Key, Order, parse_filter
from modelyard.terms.paths import artifact_uri

MAX_COLUMNS = 40
MAX_PINNED = 4  # which stay in sight beside the names of runs
ROWS = 100  # of a page
MAX_OPEN = 10  # runs whose children are shown below them
FIRST_METRICS, FIRST_PARAMS = 8, 6  # columns as long as nobody has chosen any
LOOKED_AT = 10  # runs, of which these columns are chosen
MOST_COUNTED = 100_000  # runs; more are not told apart
MAX_KEYS = 100  # of one look at them
MAX_WALKED = 2_000  # keys that are looked at for them
AT_ONCE = 500  # runs that one transaction changes

# A metric (NaN is a number here), a text, or some values of a metric in their order; None: the run does not have it.
Cell = float | str | Sequence[float | None] | None


class Kind(StrEnum):
    """What a column shows of a run."""

    METRIC = "metric"  # the last value
    MIN = "min"
    MAX = "max"
    COURSE = "course"  # a curve of some of its values
    PARAM = "param"
    TAG = "tag"


DERIVED = (Kind.MIN, Kind.MAX, Kind.COURSE)  # of a metric, and no key of what runs are searched by
ENTITIES = {Kind.METRIC: Entity.METRIC, Kind.PARAM: Entity.PARAM, Kind.TAG: Entity.TAG}
ATTRIBUTES = ("start_time", "run_name", "status", "end_time")  # which are always shown, and sorted by


@dataclass(frozen=True, slots=True)
class Column:
    """A column, as a URL names it: `metric.loss`, `min.loss`, `param.lr`, `tag.team`."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.name}"

    @property
    def label(self) -> str:
        """Its heading."""
        return f"{self.name} ({self.kind.value})" if self.kind in DERIVED else self.name

    @property
    def numeric(self) -> bool:
        """Whether its cells are numbers."""
        return self.kind in (Kind.METRIC, Kind.MIN, Kind.MAX)

    @property
    def key(self) -> Key | None:
        """What runs are sorted and filtered by; None for what they cannot be."""
        entity = ENTITIES.get(self.kind)
        return Key(entity, self.name) if entity else None


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


def parse_columns(texts: Sequence[str]) -> list[Column]:
    """The columns that texts name, each once, at most MAX_COLUMNS; what names none is left out."""
    found: dict[Column, None] = {}
    for text in texts:
        kind, _, name = text.partition(".")
        if kind in set(Kind) and 0 < len(name) <= MAX_KEY:
            found[Column(Kind(kind), name)] = None
    return list(found)[:MAX_COLUMNS]


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


def usual_columns(registry: Registry, ids: Sequence[int]) -> list[Column]:
    """The metrics and parameters that most of the first runs have, and the course of one metric that has any."""
    tables, looked = registry.run_tables, ids[:LOOKED_AT]
    metrics = tables.usual_keys(looked, Entity.METRIC, FIRST_METRICS)
    params = tables.usual_keys(looked, Entity.PARAM, FIRST_PARAMS)
    return [
        *(Column(Kind.METRIC, name) for name in sorted(metrics)),
        *(Column(Kind.COURSE, name) for name in tables.going_on(looked, metrics)[:1]),
        *(Column(Kind.PARAM, key) for key in sorted(params)),
    ]


def read_cells(
    registry: Registry, ids: Sequence[int], columns: Sequence[Column], *, whole: bool = False
) -> dict[int, list[Cell]]:
    """The cells of runs by their ids; long texts are cut unless they are wanted `whole`."""
    tables = registry.run_tables
    courses = _names(columns, Kind.COURSE)
    lines = registry.curves.outlines(ids, courses, OUTLINE) if courses else {}
    extremes = tables.extremes(ids, list({column.name for column in columns if column.kind in (Kind.MIN, Kind.MAX)}))
    found: dict[Kind, ByRun] = {
        Kind.METRIC: tables.metrics(ids, _names(columns, Kind.METRIC)),
        Kind.PARAM: tables.texts(Entity.PARAM, ids, _names(columns, Kind.PARAM), whole=whole),
        Kind.TAG: tables.texts(Entity.TAG, ids, _names(columns, Kind.TAG), whole=whole),
        Kind.MIN: {id_: {name: ends[0] for name, ends in each.items()} for id_, each in extremes.items()},
        Kind.COURSE: _by_run(lines),
        Kind.MAX: {id_: {name: ends[1] for name, ends in each.items()} for id_, each in extremes.items()},
    }
    return {id_: [_cell(column, found[column.kind].get(id_, {})) for column in columns] for id_ in ids}


def _by_run(lines: Outlines) -> ByRun:
    found: ByRun = defaultdict(dict)
    for (id_, name), values in lines.items():
        found[id_][name] = values
    return found


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


def find_keys(
    registry: Registry, experiment: Experiment, entity: Entity, search: str = "", after: str = ""
) -> tuple[list[str], str | None]:
    """Keys of an experiment's metrics, parameters or tags that contain a text, whatever its case, in their order; and
    the key behind which there may be more.
    """
    walked = registry.run_tables.keys(experiment.id, entity, after, MAX_WALKED)
    matching = [key for key in walked if search.lower() in key.lower()]
    if len(matching) > MAX_KEYS:
        return matching[:MAX_KEYS], matching[MAX_KEYS - 1]
    return matching, walked[-1] if len(walked) == MAX_WALKED else None


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


def of_experiment(registry: Registry, experiment: Experiment, ids: Sequence[int]) -> list[int]:
    """Those of some runs that are an experiment's."""
    return [run.id for run in registry.run_tables.by_ids(ids) if run.experiment_id == experiment.id]


def delete_runs(registry: Registry, ids: Sequence[int]) -> int:
    """Mark runs as deleted, without those that are versions'; how many."""
    return registry.run_tables.mark_deleted(ids, now())


def restore_runs(registry: Registry, experiment: Experiment, ids: Sequence[int]) -> int:
    """Take back that runs were deleted; how many. Raises InvalidValue where their experiment is deleted."""
    if experiment.deleted_at is not None:
        raise InvalidValue("The experiment of these runs is deleted; restore it first")
    return registry.run_tables.mark_deleted(ids, None)


def tag_runs(registry: Registry, ids: Sequence[int], key: str, value: str) -> int:
    """Set a tag of runs that are not deleted; how many. Raises InvalidValue."""
    check_tags({key: value})
    runs = [run for run in registry.run_tables.by_ids(ids) if run.deleted_at is None]
    for run in runs:
        set_tags(registry, run, {key: value})
    return len(runs)


def in_portions(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Ids in portions that a transaction each changes."""
    for begin in range(0, len(ids), AT_ONCE):
        yield ids[begin : begin + AT_ONCE]


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


def _names(columns: Sequence[Column], kind: Kind) -> list[str]:
    return [column.name for column in columns if column.kind is kind]


def _cell(column: Column, found: Mapping[str, Cell]) -> Cell:
    if column.name not in found:
        return None
    value = found[column.name]
    return math.nan if value is None else value
