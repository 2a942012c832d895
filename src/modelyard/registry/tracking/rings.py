"""Runs whose parents lead back to them: nobody else leads there, and who goes from parents to children meets none."""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import aliased

from modelyard.registry.base import Repository
from modelyard.registry.search.runs import PARENT_TAG, View, lifecycle
from modelyard.registry.tables import Candidate, CandidateTag

MAX_BETWEEN = 10_000  # runs of an experiment that are parents and children both
MAX_ABOVE = 10_000  # parents of parents of one run that are looked at


class RingRepository(Repository):
    """Looks for rings of parents."""

    def of_experiment(self, experiment_id: int, view: View) -> Set[int] | None:
        """The ids of the runs of an experiment that are in rings; None where more than MAX_BETWEEN may be."""
        between = self.tuples(_between(view), {"experiment_id": experiment_id})
        if len(between) > MAX_BETWEEN:
            return None
        parents = {eid: parent for _id, eid, parent in between}
        ring = in_rings(parents)
        return {id_ for id_, eid, _parent in between if eid in ring}

    def has(self, id_: int) -> bool:
        """Whether a run is its own parent, or its parents lead back to it, be they of its experiment or not."""
        return self.session.scalar(_BACK, {"id": id_}) is not None


def in_rings(parents: Mapping[str, str]) -> set[str]:
    """Those of some children that their parents lead back to."""
    found, seen = set[str](), set[str]()
    for begin in parents:
        way: dict[str, None] = {}
        each = begin
        while each in parents and each not in seen:
            seen.add(each)
            way[each] = None
            each = parents[each]
        if each in way:
            passed = list(way)
            found.update(passed[passed.index(each) :])
    return found


@cache
def _between(view: View) -> Select[*tuple[Any, ...]]:
    """Id, run id and parent of runs that have children as well; the parents are read of an index alone, each once.

    A run id is shorter than what that index has of a tag's value.
    """
    below = select(CandidateTag.head).where(
        CandidateTag.experiment_id == bindparam("experiment_id"), CandidateTag.key == PARENT_TAG
    )
    named, above = below.distinct().subquery(), aliased(CandidateTag)
    mine = select(Candidate.id, Candidate.eid, above.head).join(named, named.c.head == Candidate.eid)
    mine = mine.join(above, (above.candidate_id == Candidate.id) & (above.key == PARENT_TAG))
    alive = lifecycle(view, Candidate.deleted_at)
    return mine.where(Candidate.experiment_id == bindparam("experiment_id"), *alive).limit(MAX_BETWEEN + 1)


def _back() -> Select[*tuple[Any, ...]]:
    """Something where the run of an id is among its parents, and theirs."""
    first, owner, tag = aliased(CandidateTag), aliased(Candidate), aliased(CandidateTag)
    begun = select(first.value.label("eid")).where(first.candidate_id == bindparam("id"), first.key == PARENT_TAG)
    walk = begun.cte("walk", recursive=True)
    above = select(tag.value).join(owner, owner.id == tag.candidate_id).join(walk, walk.c.eid == owner.eid)
    whole = walk.union(above.where(tag.key == PARENT_TAG))  # which ends where it comes back
    looked_at = select(whole.c.eid).limit(MAX_ABOVE).subquery()
    return select(Candidate.id).join(looked_at, looked_at.c.eid == Candidate.eid).where(Candidate.id == bindparam("id"))


_BACK = _back()
