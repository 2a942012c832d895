"""Columns of a table of runs: how they are named, which are shown where nobody has chosen any, and their cells."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from modelyard.registry.repository import Registry
from modelyard.registry.tables import Experiment
from modelyard.registry.tracking.curves import Outlines
from modelyard.registry.tracking.run_tables import ByRun
from modelyard.services.tracking.curves import OUTLINE
from modelyard.services.tracking.limits import MAX_KEY
from modelyard.terms.filters import Entity, Key

MAX_COLUMNS = 40
FIRST_METRICS, FIRST_PARAMS = 8, 6  # columns as long as nobody has chosen any
LOOKED_AT = 10  # runs, of which these columns are chosen
MAX_KEYS = 100  # of one look at them
MAX_WALKED = 2_000  # keys that are looked at for them

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


def parse_columns(texts: Sequence[str]) -> list[Column]:
    """The columns that texts name, each once, at most MAX_COLUMNS; what names none is left out."""
    found: dict[Column, None] = {}
    for text in texts:
        kind, _, name = text.partition(".")
        if kind in set(Kind) and 0 < len(name) <= MAX_KEY:
            found[Column(Kind(kind), name)] = None
    return list(found)[:MAX_COLUMNS]


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


def _names(columns: Sequence[Column], kind: Kind) -> list[str]:
    return [column.name for column in columns if column.kind is kind]


def _cell(column: Column, found: Mapping[str, Cell]) -> Cell:
    if column.name not in found:
        return None
    value = found[column.name]
    return math.nan if value is None else value
