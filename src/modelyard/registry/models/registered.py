"""Registered models, their tags and aliases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, delete, func, or_, select, update

from modelyard.clock import now
from modelyard.registry.base import Repository
from modelyard.registry.dialects import upsert
from modelyard.registry.search.conditions import conditions
from modelyard.registry.search.orders import attribute_keys
from modelyard.registry.search.pages import Cursor, Section, SortKey, read_page
from modelyard.registry.search.subjects import MODELS
from modelyard.registry.search.weights import Attached, hold_one
from modelyard.registry.tables import Candidate, Model, ModelAlias, ModelTag, ModelVersion, Package
from modelyard.terms.filters import Clause, Order

# Built once: building a statement takes several times as long as running it.
_BY_NAME = select(Model).where(Model.project_id == bindparam("project_id"), Model.name == bindparam("name"))
_OF_PROJECT = select(Model).where(Model.project_id == bindparam("project_id"))
_SPELLED = _OF_PROJECT.where(func.lower(Model.name) == bindparam("name")).limit(2)
_FIRST = _OF_PROJECT.order_by(Model.name).limit(bindparam("limit"))
_ALIASES = (
    select(ModelAlias.model_id, ModelAlias.alias, ModelAlias.model_version_id)
    .where(ModelAlias.model_id.in_(bindparam("ids", expanding=True)))
    .order_by(ModelAlias.model_id, ModelAlias.alias)
)

# What a page of models shows with them; of their latest versions there are few.
ATTACHED = (
    Attached(Model.id, (Model.description,)),
    Attached(ModelTag.model_id, (ModelTag.value,)),
    Attached(ModelAlias.model_id, (ModelAlias.alias,)),
)


class ModelRepository(Repository):
    """Models by name, always within a project."""

    def by_name(self, project_id: int, name: str) -> Model | None:
        """The model of exactly that name."""
        return self.session.scalar(_BY_NAME, {"project_id": project_id, "name": name})

    def spelled(self, project_id: int, name: str) -> list[Model]:
        """A project's models of that name whatever the case of its letters a to z: two of them, if there are more."""
        return list(self.session.scalars(_SPELLED, {"project_id": project_id, "name": name.lower()}))

    def first(self, project_id: int, limit: int) -> list[Model]:
        """The models of a project that come first by name, at most `limit`."""
        return list(self.session.scalars(_FIRST, {"project_id": project_id, "limit": limit}))

    def by_ids(self, model_ids: Sequence[int]) -> dict[int, Model]:
        """Models by their ids."""
        return {model.id: model for model in self.entities(Model, model_ids)}

    def add(self, model: Model, tags: Mapping[str, str]) -> Model:
        """Insert a model with its tags; its name must be free."""
        self.session.add(model)
        self.session.flush()
        self.session.add_all(ModelTag(model_id=model.id, key=key, value=value) for key, value in tags.items())
        self.session.flush()
        hold_one(self.session, model.id, ATTACHED, tags.values())
        return model

    def rename(self, model: Model, name: str) -> None:
        """Give a model, and the packages of its versions and candidates, another name."""
        versions = select(ModelVersion.id).where(ModelVersion.model_id == model.id)
        candidates = select(Candidate.id).where(
            Candidate.experiment_id == model.default_experiment_id, Candidate.model_version_id.is_(None)
        )
        mine = or_(Package.model_version_id.in_(versions), Package.candidate_id.in_(candidates))
        self.session.execute(update(Package).where(mine).values(name=name))
        model.name = name
        self.session.flush()

    def delete(self, model: Model) -> None:
        """Remove a model with its versions and their packages."""
        self.session.delete(model)
        self.session.flush()

    def search(
        self, project_id: int, clauses: Sequence[Clause], orders: Sequence[Order], cursor: Cursor, limit: int
    ) -> tuple[list[Model], Cursor | None]:
        """A page of models, by name unless ordered otherwise."""
        statement = select(Model.id).where(Model.project_id == project_id, *conditions(MODELS, clauses))
        keys = (*attribute_keys(MODELS, orders), SortKey(Model.name), SortKey(Model.id))
        page = read_page(self.session, [Section(statement, keys)], cursor, limit, ATTACHED)
        return self.entities(Model, page.ids), page.following

    def tags(self, model_ids: Sequence[int]) -> dict[int, dict[str, str]]:
        """The tags of models by their ids."""
        return self.values(ModelTag.model_id, ModelTag.key, ModelTag.value, model_ids)

    def set_tag(self, model: Model, key: str, value: str) -> None:
        """Set a tag, whether or not there is one of that key."""
        statement = upsert(self.dialect, ModelTag).values(model_id=model.id, key=key, value=value)
        self.session.execute(statement.on_conflict_do_update(index_elements=["model_id", "key"], set_={"value": value}))
        hold_one(self.session, model.id, ATTACHED, [value])
        model.updated_at = now()

    def delete_tag(self, model: Model, key: str) -> bool:
        """Remove a tag; whether there was one."""
        return self.changed(delete(ModelTag).where(ModelTag.model_id == model.id, ModelTag.key == key))

    def aliases(self, model_ids: Sequence[int]) -> dict[int, dict[str, int]]:
        """The aliases of models, with the ids of the versions that they name."""
        found: dict[int, dict[str, int]] = defaultdict(dict)
        for model_id, alias, version_id in self.tuples(_ALIASES, {"ids": model_ids}):
            found[model_id][alias] = version_id
        return found

    def set_alias(self, model: Model, alias: str, version: ModelVersion) -> None:
        """Let an alias name a version, whatever it named before."""
        row = {"model_id": model.id, "alias": alias, "model_version_id": version.id}
        statement = upsert(self.dialect, ModelAlias).values(row)
        new = {"model_version_id": version.id}
        self.session.execute(statement.on_conflict_do_update(index_elements=["model_id", "alias"], set_=new))
        hold_one(self.session, model.id, ATTACHED, [alias])

    def delete_alias(self, model: Model, alias: str) -> bool:
        """Remove an alias; whether there was one."""
        return self.changed(delete(ModelAlias).where(ModelAlias.model_id == model.id, ModelAlias.alias == alias))
