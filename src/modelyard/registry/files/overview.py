"""What pages tell of many models and versions at a time: counts, sizes, and the newest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ScalarSelect, Select, and_, bindparam, func, or_, select, union_all

from modelyard.registry.base import Repository
from modelyard.registry.files.folders import HIDDEN, Content
from modelyard.registry.tables import Candidate, Experiment, Model, ModelVersion, Package, PackageFile

MOST_PASSED = 200  # rows
MOST_COUNTED = 10_000  # rows of a kind; beyond, there are more than so many


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is in a project; MOST_COUNTED + 1 stands for more than that."""

    models: int
    versions: int
    experiments: int
    runs: int


# Built once: building a statement takes several times as long as running it.
_CONTENTS = (
    select(Package.model_version_id, func.count(PackageFile.id), func.sum(PackageFile.size))
    .join(PackageFile, PackageFile.package_id == Package.id)
    .where(Package.model_version_id.in_(bindparam("ids", expanding=True)))
    .where(~HIDDEN)
    .group_by(Package.model_version_id)
)
_VERSIONS = (
    select(ModelVersion.model_id, func.count())
    .where(ModelVersion.model_id.in_(bindparam("ids", expanding=True)))
    .group_by(ModelVersion.model_id)
)
_PLACE = func.row_number().over(
    partition_by=ModelVersion.model_id,
    order_by=(ModelVersion.major.desc(), ModelVersion.minor.desc(), ModelVersion.patch.desc(), ModelVersion.id.desc()),
)
_PLACED = (
    select(ModelVersion.id, _PLACE.label("place"))
    .where(ModelVersion.model_id.in_(bindparam("ids", expanding=True)))
    .subquery()
)
_HIGHEST = select(ModelVersion).where(ModelVersion.id.in_(select(_PLACED.c.id).where(_PLACED.c.place == 1)))
_OF_MODEL = (
    select(func.count(PackageFile.id), func.coalesce(func.sum(PackageFile.size), 0))
    .join(Package, Package.id == PackageFile.package_id)
    .join(ModelVersion, ModelVersion.id == Package.model_version_id)
    .where(ModelVersion.model_id == bindparam("model"))
)


class OverviewRepository(Repository):
    """Reads for many at once, by their ids."""

    def contents(self, version_ids: Sequence[int]) -> dict[int, Content]:
        """The files of versions; those without any are left out."""
        rows = self.tuples(_CONTENTS, {"ids": version_ids}) if version_ids else []
        return {version_id: Content(files, int(size)) for version_id, files, size in rows}

    def content_of_model(self, model_id: int) -> Content:
        """All files of a model's versions, those that newer ones hide with them: what goes with the model."""
        files, size = self.connection.execute(_OF_MODEL, {"model": model_id}).one()
        return Content(files, int(size))

    def versions_of(self, model_ids: Sequence[int]) -> dict[int, int]:
        """How many versions models have; those without any are left out."""
        return dict(self.tuples(_VERSIONS, {"ids": model_ids})) if model_ids else {}

    def highest_of(self, model_ids: Sequence[int]) -> dict[int, ModelVersion]:
        """The version with the highest major, minor and patch of each model."""
        if not model_ids:
            return {}
        return {version.model_id: version for version in self.session.scalars(_HIGHEST, {"ids": model_ids})}

    def newest_versions(self, project_ids: Sequence[int], limit: int) -> list[ModelVersion]:
        """The versions of some projects that were made last."""
        lately = [
            select(ModelVersion.id)
            .where(ModelVersion.project_id == project_id)
            .order_by(ModelVersion.id.desc())
            .limit(limit)
            .subquery()
            for project_id in project_ids
        ]
        if not lately:
            return []
        mine = select(ModelVersion).where(ModelVersion.id.in_(union_all(*(select(each.c.id) for each in lately))))
        return list(self.session.scalars(mine.order_by(ModelVersion.id.desc()).limit(limit)))

    def newest_runs(self, project_ids: Sequence[int], limit: int) -> list[tuple[Candidate, Experiment]]:
        """The runs that were made last in each of some projects, with their experiments; those that are versions, and
        deleted ones, are not among them. However many of those there are, no more than MOST_PASSED are passed over.
        """
        lately = [
            select(Candidate.id, Candidate.model_version_id, Candidate.deleted_at)
            .where(Candidate.project_id == project_id)
            .order_by(Candidate.iid.desc())
            .limit(MOST_PASSED)
            .subquery()
            for project_id in project_ids
        ]
        if not lately:
            return []
        alive = (
            select(each.c.id).where(each.c.model_version_id.is_(None), each.c.deleted_at.is_(None)) for each in lately
        )
        joined = select(Candidate, Experiment).join(Experiment, Experiment.id == Candidate.experiment_id)
        rows = self.session.execute(
            joined.where(Candidate.id.in_(union_all(*alive))).order_by(Candidate.id.desc()).limit(limit)
        )
        return [(run, experiment) for run, experiment in rows]

    def neighbours(self, version: ModelVersion) -> tuple[ModelVersion | None, ModelVersion | None]:
        """The versions of the same model that were made before and after one."""
        mine = select(ModelVersion).where(ModelVersion.model_id == version.model_id)
        before = mine.where(ModelVersion.id < version.id).order_by(ModelVersion.id.desc()).limit(1)
        after = mine.where(ModelVersion.id > version.id).order_by(ModelVersion.id).limit(1)
        return self.session.scalar(before), self.session.scalar(after)

    def of_run(self, project_id: int, run_id: str, but: int, limit: int) -> list[ModelVersion]:
        """The newest versions of a project that come from a run, but one."""
        mine = select(ModelVersion).where(ModelVersion.run_id == run_id, ModelVersion.project_id == project_id)
        others = mine.where(ModelVersion.id != but)
        return list(self.session.scalars(others.order_by(ModelVersion.id.desc()).limit(limit)))

    def runs_elsewhere(self, model: Model, limit: int) -> list[tuple[Candidate, Experiment, ModelVersion]]:
        """Runs of other experiments than the model's own whose versions are a model's: that were promoted, or that a
        version names. The newest versions come first.
        """
        named = and_(Candidate.eid == ModelVersion.run_id, Candidate.project_id == ModelVersion.project_id)
        theirs = or_(Candidate.model_version_id == ModelVersion.id, named)
        joined = select(Candidate, Experiment, ModelVersion).join(ModelVersion, theirs)
        joined = joined.join(Experiment, Experiment.id == Candidate.experiment_id)
        mine = joined.where(ModelVersion.model_id == model.id, Experiment.id != model.default_experiment_id)
        rows = self.session.execute(mine.order_by(ModelVersion.id.desc()).limit(limit))
        return [(run, experiment, version) for run, experiment, version in rows]

    def counts(self, project_id: int) -> Counts:
        """How much there is in a project."""
        active = (Candidate.project_id == project_id) & Candidate.deleted_at.is_(None)
        kinds = (
            select(Model.id).where(Model.project_id == project_id),
            select(ModelVersion.id).where(ModelVersion.project_id == project_id),
            select(Experiment.id).where(Experiment.project_id == project_id, Experiment.deleted_at.is_(None)),
            select(Candidate.id).where(active, Candidate.model_version_id.is_(None)),
        )
        models, versions, experiments, runs = map(_counted, kinds)
        return Counts(*self.session.execute(select(models, versions, experiments, runs)).one())


def _counted(statement: Select[int]) -> ScalarSelect[int]:
    return select(func.count()).select_from(statement.limit(MOST_COUNTED + 1).subquery()).scalar_subquery()
