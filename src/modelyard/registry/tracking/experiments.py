"""Experiments and their tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, delete, exists, func, select, update

from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Question, Repository, storable
from modelyard.registry.dialects import upsert
from modelyard.registry.search.conditions import conditions
from modelyard.registry.search.orders import attribute_keys
from modelyard.registry.search.pages import Cursor, Section, SortKey, read_page
from modelyard.registry.search.runs import View, lifecycle
from modelyard.registry.search.subjects import EXPERIMENTS
from modelyard.registry.search.weights import Attached, hold_one
from modelyard.registry.tables import Candidate, Experiment, ExperimentTag, Model, Project
from modelyard.terms.filters import Clause, Order

DEFAULT_NAME = "Default"  # of the default experiment, until somebody renames it

# Built once: building a statement takes several times as long as running it.
_IN_PROJECT = select(Experiment).where(Experiment.project_id == bindparam("project_id"))
_BY_IID = _IN_PROJECT.where(Experiment.iid == bindparam("iid"))
_BY_IIDS = _IN_PROJECT.where(Experiment.iid.in_(bindparam("iids", expanding=True)))
_BY_NAME = _IN_PROJECT.where(Experiment.name == bindparam("name"))
_DEFAULT = select(Experiment).where(
    Experiment.id
    == func.coalesce(
        select(Project.default_experiment_id).where(Project.id == bindparam("project_id")).scalar_subquery(),
        _BY_NAME.with_only_columns(Experiment.id).scalar_subquery(),
    )
)
_IIDS = select(Experiment.id, Experiment.iid).where(Experiment.id.in_(bindparam("ids", expanding=True)))

ATTACHED = (
    Attached(ExperimentTag.experiment_id, (ExperimentTag.value,)),
)  # what a page of experiments shows with them


class ExperimentRepository(Repository):
    """Experiments by iid or name, always within a project."""

    def by_iid(self, project_id: int, iid: int) -> Experiment | None:
        """The experiment of that iid, deleted or not."""
        return self.session.scalar(_BY_IID, {"project_id": project_id, "iid": storable(iid)})

    def by_iids(self, project_id: int, iids: Sequence[int]) -> list[Experiment]:
        """Those of the experiments that exist."""
        wanted = {"project_id": project_id, "iids": [storable(iid) for iid in iids]}
        return list(self.session.scalars(_BY_IIDS, wanted))

    def iids(self, experiment_ids: Sequence[int]) -> dict[int, int]:
        """The iids of experiments by their internal ids."""
        return dict(self.tuples(*asked_iids(experiment_ids)))

    def by_name(self, project_id: int, name: str) -> Experiment | None:
        """The experiment of exactly that name, deleted or not."""
        return self.session.scalar(_BY_NAME, {"project_id": project_id, "name": name})

    def default(self, project_id: int) -> Experiment | None:
        """A project's default experiment, whatever it is called now, deleted or not."""
        return self.session.scalar(_DEFAULT, {"project_id": project_id, "name": DEFAULT_NAME})

    def of(self, candidate: Candidate) -> Experiment:
        """The experiment that a candidate is part of."""
        return self.session.get_one(Experiment, candidate.experiment_id)

    def default_of(self, model: Model) -> Experiment:
        """The experiment that belongs to a model."""
        return self.session.get_one(Experiment, model.default_experiment_id)

    def model_of(self, experiment_id: int) -> Model | None:
        """The model that an experiment belongs to."""
        return self.session.scalar(select(Model).where(Model.default_experiment_id == experiment_id))

    def all_active(self, project_id: int, cursor: Cursor, limit: int) -> tuple[list[Experiment], Cursor | None]:
        """A page of every experiment that is not deleted, newest first."""
        mine = (Experiment.project_id == project_id) & Experiment.deleted_at.is_(None)
        section = Section(select(Experiment.id).where(mine), (SortKey(Experiment.id, descending=True),))
        page = read_page(self.session, [section], cursor, limit, ATTACHED)
        return self.entities(Experiment, page.ids), page.following

    def search(
        self,
        project_id: int,
        view: View,
        clauses: Sequence[Clause],
        orders: Sequence[Order],
        cursor: Cursor,
        limit: int,
    ) -> tuple[list[Experiment], Cursor | None]:
        """A page of experiments, newest first unless ordered otherwise; without those that models have as their own."""
        statement = select(Experiment.id).where(
            Experiment.project_id == project_id,
            ~exists().where(Model.default_experiment_id == Experiment.id),
            *lifecycle(view, Experiment.deleted_at),
            *conditions(EXPERIMENTS, clauses),
        )
        keys = (*attribute_keys(EXPERIMENTS, orders), SortKey(Experiment.id, descending=True))
        page = read_page(self.session, [Section(statement, keys)], cursor, limit, ATTACHED)
        return self.entities(Experiment, page.ids), page.following

    def count_runs(self, experiment_ids: Sequence[int], most: int) -> dict[int, int]:
        """How many runs that are not deleted experiments have, by the ids of these; `most` for that many or more."""
        mine = select(Candidate.id).where(Candidate.experiment_id == Experiment.id, Candidate.deleted_at.is_(None))
        few = mine.limit(most).correlate(Experiment).subquery()
        count = select(func.count()).select_from(few).scalar_subquery()
        return dict(self.tuples(select(Experiment.id, count).where(Experiment.id.in_(experiment_ids))))

    def add(self, experiment: Experiment, tags: Mapping[str, str]) -> Experiment:
        """Insert an experiment with its tags; its name must be free."""
        self.session.add(experiment)
        self.session.flush()
        self.session.add_all(ExperimentTag(experiment_id=experiment.id, key=k, value=v) for k, v in tags.items())
        self.session.flush()
        hold_one(self.session, experiment.id, ATTACHED, tags.values())
        return experiment

    def mark_deleted(self, experiment: Experiment, at: Milliseconds | None) -> None:
        """Mark an experiment and its active runs as deleted, or take exactly that back (None)."""
        runs = update(Candidate).where(Candidate.experiment_id == experiment.id)
        same = Candidate.deleted_at.is_(None) if at is not None else Candidate.deleted_at == experiment.deleted_at
        self.session.execute(runs.where(same).values(deleted_at=at))
        experiment.deleted_at = at
        self.session.flush()

    def delete(self, experiment: Experiment) -> None:
        """Remove an experiment with all its candidates and their packages."""
        self.session.delete(experiment)
        self.session.flush()

    def tags(self, experiment_ids: Sequence[int]) -> dict[int, dict[str, str]]:
        """The tags of experiments by their ids."""
        return self.values(ExperimentTag.experiment_id, ExperimentTag.key, ExperimentTag.value, experiment_ids)

    def set_tag(self, experiment: Experiment, key: str, value: str) -> None:
        """Set a tag, whether or not there is one of that key."""
        statement = upsert(self.dialect, ExperimentTag).values(experiment_id=experiment.id, key=key, value=value)
        self.session.execute(
            statement.on_conflict_do_update(index_elements=["experiment_id", "key"], set_={"value": value})
        )
        hold_one(self.session, experiment.id, ATTACHED, [value])
        experiment.updated_at = now()

    def delete_tag(self, experiment: Experiment, key: str) -> bool:
        """Remove a tag; whether there was one."""
        mine = (ExperimentTag.experiment_id == experiment.id) & (ExperimentTag.key == key)
        return self.changed(delete(ExperimentTag).where(mine))


def asked_iids(experiment_ids: Sequence[int]) -> Question:
    """What `ExperimentRepository.iids` asks."""
    return _IIDS, {"ids": experiment_ids}
