"""Models and their versions."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from modelyard.registry.base import Repository
from modelyard.registry.tables import Model, ModelTag, ModelVersion, ModelVersionTag


class ModelRepository(Repository):
    """Models by name and versions by their semantic version, always within a project."""

    def by_name(self, project_id: int, name: str) -> Model | None:
        """The model of exactly that name."""
        mine = (Model.project_id == project_id) & (Model.name == name)
        return self.session.scalar(select(Model).where(mine))

    def add(self, model: Model, tags: Mapping[str, str]) -> Model:
        """Insert a model with its tags; its name must be free."""
        self.session.add(model)
        self.session.flush()
        self.session.add_all(ModelTag(model_id=model.id, key=key, value=value) for key, value in tags.items())
        return model

    def version(self, model_id: int, version: str) -> ModelVersion | None:
        """A model's version of exactly that semantic version."""
        mine = (ModelVersion.model_id == model_id) & (ModelVersion.version == version)
        return self.session.scalar(select(ModelVersion).where(mine))

    def latest_version(self, model_id: int) -> ModelVersion | None:
        """The version with the highest major, minor and patch, pre-releases aside as in GitLab; of several the last."""
        order = (
            ModelVersion.major.desc(),
            ModelVersion.minor.desc(),
            ModelVersion.patch.desc(),
            ModelVersion.id.desc(),
        )
        return self.session.scalar(
            select(ModelVersion).where(ModelVersion.model_id == model_id).order_by(*order).limit(1)
        )

    def add_version(self, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
        """Insert a version with its tags; the model must not have that version."""
        self.session.add(version)
        self.session.flush()
        rows = (ModelVersionTag(model_version_id=version.id, key=key, value=value) for key, value in tags.items())
        self.session.add_all(rows)
        return version
