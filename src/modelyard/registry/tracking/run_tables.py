"""Runs as a table: of each, only what its columns show; which keys there are; how many runs and children."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    SQLColumnExpression,
    bindparam,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.orm import aliased

from modelyard.clock import Milliseconds
from modelyard.registry.base import Repository, storable
from modelyard.registry.dialects import ilike
from modelyard.registry.search.pages import Cursor, Section, read_page
from modelyard.registry.search.runs import (
    PARENT_TAG,
    RUN_ATTACHED,
    ArtifactUris,
    View,
    child_of,
    lifecycle,
    run_sections,
    topmost,
)
from modelyard.registry.statements import built_once
from modelyard.registry.tables import (
    Candidate,
    CandidateMetric,
    CandidateParam,
    CandidateTag,
    LatestMetric,
)
from modelyard.registry.tracking.runs import RunRepository
from modelyard.terms.filters import Clause, Entity, Order

TEXT = 1_000  # characters of a text in a table
LARGEST = 1.7976931348623157e308  # of all finite numbers

ByRun = dict[int, dict[str, Any]]  # by the id of a run, then by key


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs of an experiment a table has, and in which order; those that began last first by itself."""

    experiment_id: int
    uris: ArtifactUris
    view: View = View.ACTIVE_ONLY
    clauses: Sequence[Clause] = field(default_factory=list)
    orders: Sequence[Order] = field(default_factory=list)
    nested: bool = False  # only runs that are nobody's children
    ring: Set[int] = frozenset()  # runs that are children of each other alone, by their ids
    parent: str | None = None  # only children of the run of that run id


class RunTableRepository(Repository):
    """Reads for many runs at once, by their ids."""

    def select(
        self, selection: Selection, after: int | None, limit: int, *, whole: bool = False
    ) -> tuple[list[Candidate], bool]:
        """Up to `limit` runs, those behind the one with the id `after`, and whether more follow; where all of their
        texts are to be read, `whole`, as many as may be held at once.

        Where that run is no more among them, the page is the first one.
        """
        sections = self._sections(selection)
        cursor = self._behind(sections, after) if after is not None else Cursor()
        page = read_page(self.session, sections, cursor, limit, RUN_ATTACHED if whole else ())
        return self.entities(Candidate, page.ids), page.following is not None

    def count(self, selection: Selection, most: int) -> int:
        """How many runs there are, `most` for that many or more."""
        found = self._sections(selection, ordered=False)[0].statement.limit(most)
        return self.session.scalar(select(func.count()).select_from(found.subquery())) or 0

    def ids(self, selection: Selection, most: int) -> list[int]:
        """The ids of the runs, at most so many, in no order."""
        return list(self.session.scalars(self._sections(selection, ordered=False)[0].statement.limit(most)))

    def by_iids(self, project_id: int, iids: Sequence[int]) -> list[Candidate]:
        """Those of a project's runs that exist, in the order of their iids as they are given."""
        mine = (Candidate.project_id == project_id) & Candidate.iid.in_([storable(iid) for iid in iids])
        found = {run.iid: run for run in self.session.scalars(select(Candidate).where(mine))}
        return [found[iid] for iid in dict.fromkeys(iids) if iid in found]

    def by_ids(self, ids: Sequence[int]) -> list[Candidate]:
        """Runs that exist, in the order of their ids as they are given."""
        return self.entities(Candidate, ids)

    def mark_deleted(self, ids: Sequence[int], at: Milliseconds | None) -> int:
        """Mark runs as deleted, but not those that are versions', or take that back (None); how many it changed."""
        mine = update(Candidate).where(Candidate.id.in_(ids)).execution_options(synchronize_session=False)
        if at is None:
            mine = mine.where(Candidate.deleted_at.is_not(None))
        else:
            mine = mine.where(Candidate.deleted_at.is_(None), Candidate.model_version_id.is_(None))
        done: Any = self.session.execute(mine.values(deleted_at=at))
        return int(done.rowcount)

    def children(self, experiment_id: int, eids: Sequence[str], view: View) -> dict[str, int]:
        """How many children runs have, by their run ids; nothing for those that have none."""
        # Run ids are shorter than heads, which an index has: the values of thousands of tags are not looked at.
        mine = select(CandidateTag.head, func.count()).join(Candidate, Candidate.id == CandidateTag.candidate_id)
        named = (CandidateTag.experiment_id == experiment_id) & (CandidateTag.key == PARENT_TAG)
        among = CandidateTag.head.in_(eids)
        alive = lifecycle(view, Candidate.deleted_at)
        rows = self.tuples(
            mine.where(named, among, Candidate.eid != CandidateTag.head, *alive).group_by(CandidateTag.head)
        )
        return dict(rows)

    def metrics(self, ids: Sequence[int], names: Sequence[str]) -> ByRun:
        """The last values of some metrics, None for NaN."""
        return self._by_run(_METRICS, ids, names)

    def extremes(self, ids: Sequence[int], names: Sequence[str]) -> ByRun:
        """The least and the greatest value of some metrics, as tuples, without NaN and infinity."""
        found: ByRun = defaultdict(dict)
        for owner, name, least, greatest in self.tuples(_EXTREMES, {"ids": ids, "names": names}) if names else ():
            found[owner][name] = (least, greatest)
        return found

    def texts(self, entity: Entity, ids: Sequence[int], keys: Sequence[str], *, whole: bool) -> ByRun:
        """Some parameters or tags; unless `whole`, the first TEXT characters of each."""
        return self._by_run(_texts(entity, whole=whole), ids, keys)

    def keys(self, experiment_id: int, entity: Entity, after: str, limit: int) -> list[str]:
        """Keys of metrics, parameters or tags in an experiment, those behind `after`, sorted; each is one look into an
        index, however many runs have it.
        """
        asked = {"experiment_id": experiment_id, "after": after, "limit": limit}
        return [row[0] for row in self.tuples(_keys(entity), asked)]

    def usual_keys(self, ids: Sequence[int], entity: Entity, limit: int) -> list[str]:
        """The keys that most of some runs have."""
        table, key = _TABLES[entity]
        mine = select(key).where(table.candidate_id.in_(ids)).group_by(key)
        return [row[0] for row in self.tuples(mine.order_by(func.count().desc(), key).limit(limit))]

    def going_on(self, ids: Sequence[int], names: Sequence[str]) -> list[str]:
        """Those of some metrics that one of the runs has at several steps, sorted."""
        same = (CandidateMetric.candidate_id == LatestMetric.candidate_id) & (CandidateMetric.name == LatestMetric.name)
        earlier = exists().where(same, CandidateMetric.step < LatestMetric.step)
        mine = LatestMetric.candidate_id.in_(ids) & LatestMetric.name.in_(names) & earlier
        names_of = select(LatestMetric.name).where(mine).distinct().order_by(LatestMetric.name)
        return [row[0] for row in self.tuples(names_of)]

    def listed(
        self, entity: Entity, candidate_id: int, after: str, search: str, limit: int
    ) -> list[tuple[str, Any, int, int]]:
        """What one run has, by key, behind `after`, of keys that contain a text: the key, the value (a text up to TEXT
        characters), and of metrics time and step, of texts how long they are.
        """
        table, key = _TABLES[entity]
        shown: tuple[Any, ...]
        if table is LatestMetric:
            shown = (table.value, table.timestamp, table.step)
        else:
            shown = (func.substr(table.value, 1, TEXT), func.length(table.value), literal(0))
        mine = select(key, *shown).where(table.candidate_id == candidate_id, key > after)
        if search:
            mine = mine.where(ilike(key, f"%{search}%"))
        return [(row[0], row[1], row[2], row[3]) for row in self.tuples(mine.order_by(key).limit(limit))]

    def text(self, entity: Entity, candidate_id: int, key: str) -> str | None:
        """A whole parameter or tag of a run, if it has it."""
        return self.texts(entity, [candidate_id], [key], whole=True).get(candidate_id, {}).get(key)

    def _by_run(self, statement: Select[*tuple[Any, ...]], ids: Sequence[int], names: Sequence[str]) -> ByRun:
        found: ByRun = defaultdict(dict)
        for owner, name, value in self.tuples(statement, {"ids": ids, "names": names}) if names else ():
            found[owner][name] = value
        return found

    def _sections(self, selection: Selection, *, ordered: bool = True) -> list[Section]:
        narrowed = [topmost(selection.view, selection.ring)] if selection.nested else []
        if selection.parent is not None:
            narrowed.append(child_of(selection.experiment_id, selection.parent))
        scope = RunRepository(self.transaction).scope([selection.experiment_id], selection.clauses)
        orders = selection.orders if ordered else ()
        return run_sections(scope, selection.view, selection.clauses, orders, selection.uris, narrowed)

    def _behind(self, sections: Sequence[Section], id_: int) -> Cursor:
        for number, section in enumerate(sections):
            keys = section.statement.add_columns(*(key.expression for key in section.keys))
            row = self.session.execute(keys.where(Candidate.id == id_).limit(1)).first()
            if row is not None:
                return Cursor(number, tuple(row[1:]))
        return Cursor()


_TABLES: dict[Entity, tuple[Any, SQLColumnExpression[str]]] = {
    Entity.METRIC: (LatestMetric, LatestMetric.name),
    Entity.PARAM: (CandidateParam, CandidateParam.key),
    Entity.TAG: (CandidateTag, CandidateTag.key),
}


def _of(table: Any, key: SQLColumnExpression[str]) -> ColumnElement[bool]:  # noqa: ANN401 - one of _TABLES
    owners: BindParameter[int] = bindparam("ids", expanding=True)
    names: BindParameter[str] = bindparam("names", expanding=True)
    condition: ColumnElement[bool] = table.candidate_id.in_(owners) & key.in_(names)
    return condition


_METRICS = select(LatestMetric.candidate_id, LatestMetric.name, LatestMetric.value).where(
    _of(LatestMetric, LatestMetric.name)
)
_EXTREMES = (
    select(
        CandidateMetric.candidate_id,
        CandidateMetric.name,
        func.min(CandidateMetric.value),
        func.max(CandidateMetric.value),
    )
    .where(_of(CandidateMetric, CandidateMetric.name), CandidateMetric.is_nan.is_(False))
    .where(CandidateMetric.value.between(-LARGEST, LARGEST))
    .group_by(CandidateMetric.candidate_id, CandidateMetric.name)
)


@built_once
def _texts(entity: Entity, *, whole: bool) -> Select[*tuple[Any, ...]]:
    table, key = _TABLES[entity]
    value = table.value if whole else func.substr(table.value, 1, TEXT)
    return select(table.candidate_id, key, value).where(_of(table, key))


@built_once
def _keys(entity: Entity) -> Select[*tuple[Any, ...]]:
    """From one key to the next by an index: a DISTINCT would look at every row of every run."""
    table = _TABLES[entity][0]
    first, next_ = aliased(table), aliased(table)
    name = "name" if entity is Entity.METRIC else "key"

    def least(row: Any, beyond: Any) -> Any:  # noqa: ANN401 - SQL's expressions of any type
        key = getattr(row, name)
        mine = select(key).where(row.experiment_id == bindparam("experiment_id"), key > beyond)
        return mine.order_by(key).limit(1)

    walk = least(first, bindparam("after")).subquery()
    begun = select(walk.c[0].label("key")).cte("walk", recursive=True)
    following = least(next_, begun.c.key).correlate(begun).scalar_subquery()
    whole = begun.union_all(select(following).where(begun.c.key.is_not(None)))
    return select(whole.c.key).where(whole.c.key.is_not(None)).limit(bindparam("limit"))
