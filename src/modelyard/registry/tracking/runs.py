"""Candidates, which MLflow calls runs, and finding them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import Select, bindparam, func, select

from modelyard.registry.base import Repository, storable
from modelyard.registry.search.conditions import Scope
from modelyard.registry.search.pages import Cursor, read_page
from modelyard.registry.search.runs import RUN_ATTACHED, ArtifactUris, View, run_sections
from modelyard.registry.tables import Candidate
from modelyard.registry.tracking.run_data import RunDataRepository
from modelyard.terms.filters import Clause, Order

# Built once: building a statement takes several times as long as running it.
_BY_EID = select(Candidate).where(Candidate.project_id == bindparam("project_id"), Candidate.eid == bindparam("eid"))

RARE = 2_000  # matches; a page of the usual order passes as many runs in the time that it takes to sort them
RARE_TOGETHER = 20_000  # of one among several clauses, since few runs match them all, and the order is passed in vain


class RunRepository(Repository):
    """Candidates by run id, always within a project."""

    def by_eid(self, project_id: int, eid: str) -> Candidate | None:
        """The candidate that is the MLflow run of that id, deleted or not."""
        return self.session.scalar(_BY_EID, {"project_id": project_id, "eid": eid})

    def by_eids(self, project_id: int, eids: Sequence[str]) -> dict[str, Candidate]:
        """Those of some runs that a project has, deleted or not, by their run ids."""
        mine = (Candidate.project_id == project_id) & Candidate.eid.in_(eids)
        return {run.eid: run for run in self.session.scalars(select(Candidate).where(mine))} if eids else {}

    def home_of(self, eid: str) -> int | None:
        """The id of the project of the run of that id, whichever it is."""
        return self.session.scalar(select(Candidate.project_id).where(Candidate.eid == eid))

    def by_iid(self, project_id: int, iid: int) -> Candidate | None:
        """The candidate of that iid, deleted or not."""
        mine = (Candidate.project_id == project_id) & (Candidate.iid == storable(iid))
        return self.session.scalar(select(Candidate).where(mine))

    def by_id(self, candidate_id: int) -> Candidate:
        """The candidate of that id, which is known to exist."""
        return self.session.get_one(Candidate, candidate_id)

    def of_versions(self, version_ids: Sequence[int]) -> dict[int, Candidate]:
        """The candidates that are versions, by the ids of these."""
        mine = select(Candidate).where(Candidate.model_version_id.in_(version_ids))
        return {found.model_version_id: found for found in self.session.scalars(mine) if found.model_version_id}

    def add(self, candidate: Candidate, tags: Mapping[str, str]) -> Candidate:
        """Insert a candidate with its tags."""
        self.insert(candidate)
        RunDataRepository(self.transaction).set_tags(candidate, tags)
        return candidate

    def delete(self, candidate: Candidate) -> None:
        """Remove a candidate with its package."""
        self.session.delete(candidate)
        self.session.flush()

    def search(
        self,
        experiment_ids: list[int],
        view: View,
        clauses: Sequence[Clause],
        orders: Sequence[Order],
        cursor: Cursor,
        limit: int,
        uris: ArtifactUris,
    ) -> tuple[list[Candidate], Cursor | None]:
        """A page of runs, those that began last first unless ordered otherwise; fewer than `limit` where these would be
        too much to hold.
        """
        sections = run_sections(self.scope(experiment_ids, clauses), view, clauses, orders, uris)
        page = read_page(self.session, sections, cursor, limit, RUN_ATTACHED)
        return self.entities(Candidate, page.ids), page.following

    def scope(self, experiment_ids: list[int], clauses: Sequence[Clause]) -> Scope:
        """Where the rows that the clauses of a filter ask for are looked for."""
        return Scope(experiment_ids, partial(self._has_few, RARE if len(clauses) == 1 else RARE_TOGETHER))

    def _has_few(self, limit: int, owners: Select[int]) -> bool:
        found = select(func.count()).select_from(owners.limit(limit + 1).subquery())
        return (self.session.scalar(found) or 0) <= limit
