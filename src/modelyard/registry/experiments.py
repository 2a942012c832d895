"""Experiments and their candidates."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from modelyard.registry.base import Repository, storable
from modelyard.registry.tables import Candidate, CandidateTag, Experiment, ExperimentTag, Model


class ExperimentRepository(Repository):
    """Experiments by iid or name, candidates by run id or iid, always within a project."""

    def by_iid(self, project_id: int, iid: int) -> Experiment | None:
        """The experiment of that iid."""
        mine = (Experiment.project_id == project_id) & (Experiment.iid == storable(iid))
        return self.session.scalar(select(Experiment).where(mine))

    def by_name(self, project_id: int, name: str) -> Experiment | None:
        """The experiment of exactly that name."""
        mine = (Experiment.project_id == project_id) & (Experiment.name == name)
        return self.session.scalar(select(Experiment).where(mine))

    def default_of(self, model: Model) -> Experiment:
        """The experiment that belongs to a model."""
        return self.session.get_one(Experiment, model.default_experiment_id)

    def add(self, experiment: Experiment, tags: Mapping[str, str]) -> Experiment:
        """Insert an experiment with its tags; its name must be free."""
        self.session.add(experiment)
        self.session.flush()
        self.session.add_all(ExperimentTag(experiment_id=experiment.id, key=k, value=v) for k, v in tags.items())
        return experiment

    def candidate_by_eid(self, project_id: int, eid: str) -> Candidate | None:
        """The candidate that is the MLflow run of that id, unless it was deleted."""
        mine = (Candidate.project_id == project_id) & (Candidate.eid == eid) & Candidate.deleted_at.is_(None)
        return self.session.scalar(select(Candidate).where(mine))

    def candidate(self, candidate_id: int) -> Candidate:
        """The candidate of that id, which is known to exist."""
        return self.session.get_one(Candidate, candidate_id)

    def add_candidate(self, candidate: Candidate, tags: Mapping[str, str]) -> Candidate:
        """Insert a candidate with its tags."""
        self.session.add(candidate)
        self.session.flush()
        self.session.add_all(CandidateTag(candidate_id=candidate.id, key=k, value=v) for k, v in tags.items())
        return candidate
