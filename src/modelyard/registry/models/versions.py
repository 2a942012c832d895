"""The versions of registered models, and their tags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, delete, func, insert, select

from modelyard.clock import now
from modelyard.registry.base import Repository, storable
from modelyard.registry.dialects import upsert
from modelyard.registry.search.conditions import conditions
from modelyard.registry.search.orders import attribute_keys
from modelyard.registry.search.pages import Cursor, Section, SortKey, read_page
from modelyard.registry.search.subjects import VERSIONS
from modelyard.registry.search.weights import Attached, hold_one
from modelyard.registry.tables import Model, ModelAlias, ModelVersion, ModelVersionTag, VersionOrigin
from modelyard.terms.filters import Clause, Order

# Highest first, pre-releases aside as in GitLab; of equal ones the last made.
_HIGHEST = (ModelVersion.major.desc(), ModelVersion.minor.desc(), ModelVersion.patch.desc(), ModelVersion.id.desc())

# Built once: building a statement takes several times as long as running it.
_OF_MODEL = select(ModelVersion).where(ModelVersion.model_id == bindparam("model_id"))
_BY_ID = _OF_MODEL.where(ModelVersion.id == bindparam("id"))
_BY_SEMVER = _OF_MODEL.where(ModelVersion.version == bindparam("version"))
_LATEST = (
    select(ModelVersion.major, ModelVersion.minor, ModelVersion.patch)
    .where(ModelVersion.model_id == bindparam("model_id"))
    .order_by(*_HIGHEST)
    .limit(1)
)
_ALIASES = (
    select(ModelAlias.model_version_id, ModelAlias.alias)
    .where(ModelAlias.model_version_id.in_(bindparam("ids", expanding=True)))
    .order_by(ModelAlias.alias)
)
_ORIGINS = select(VersionOrigin.model_version_id, VersionOrigin.facts).where(
    VersionOrigin.model_version_id.in_(bindparam("ids", expanding=True))
)

# What a page of versions shows with them.
ATTACHED = (
    Attached(ModelVersion.id, (ModelVersion.description, ModelVersion.source, ModelVersion.run_link)),
    Attached(ModelVersionTag.model_version_id, (ModelVersionTag.value,)),
    Attached(ModelAlias.model_version_id, (ModelAlias.alias,)),
)


class VersionRepository(Repository):
    """Versions by id, semantic version or alias, always of one model or within one project."""

    def by_id(self, project_id: int, version_id: int) -> ModelVersion | None:
        """A project's version of that id."""
        mine = (ModelVersion.id == storable(version_id)) & (ModelVersion.project_id == project_id)
        return self.session.scalar(select(ModelVersion).where(mine))

    def home_of(self, version_id: int) -> int | None:
        """The id of the project of the version of that id, whichever it is."""
        return self.session.scalar(select(ModelVersion.project_id).where(ModelVersion.id == storable(version_id)))

    def of_model(self, model_id: int, version_id: int) -> ModelVersion | None:
        """A model's version of that id."""
        return self.session.scalar(_BY_ID, {"model_id": model_id, "id": storable(version_id)})

    def by_semver(self, model_id: int, version: str) -> ModelVersion | None:
        """A model's version of exactly that semantic version."""
        return self.session.scalar(_BY_SEMVER, {"model_id": model_id, "version": version})

    def by_alias(self, model_id: int, alias: str) -> ModelVersion | None:
        """The version that an alias names."""
        named = (ModelAlias.model_id == model_id) & (ModelAlias.alias == alias)
        statement = select(ModelVersion).join(ModelAlias, ModelAlias.model_version_id == ModelVersion.id)
        return self.session.scalar(statement.where(named))

    def latest(self, model_id: int) -> ModelVersion | None:
        """The version with the highest major, minor and patch."""
        mine = select(ModelVersion).where(ModelVersion.model_id == model_id)
        return self.session.scalar(mine.order_by(*_HIGHEST).limit(1))

    def highest_number(self, model_id: int) -> tuple[int, int, int] | None:
        """Major, minor and patch of the highest version."""
        row = self.connection.execute(_LATEST, {"model_id": model_id}).one_or_none()
        return (row.major, row.minor, row.patch) if row else None

    def latest_of_stages(self, model_ids: Sequence[int]) -> list[ModelVersion]:
        """The highest version in each stage of models, those that were made first before others."""
        place = func.row_number().over(partition_by=(ModelVersion.model_id, ModelVersion.stage), order_by=_HIGHEST)
        placed = select(ModelVersion.id, place.label("place")).where(ModelVersion.model_id.in_(model_ids)).subquery()
        first = select(placed.c.id).where(placed.c.place == 1)
        return list(
            self.session.scalars(select(ModelVersion).where(ModelVersion.id.in_(first)).order_by(ModelVersion.id))
        )

    def in_stage(self, model_id: int, stage: str) -> list[ModelVersion]:
        """The versions of a model that are in a stage."""
        mine = (ModelVersion.model_id == model_id) & (ModelVersion.stage == stage)
        return list(self.session.scalars(select(ModelVersion).where(mine)))

    def all_of(self, model_id: int) -> list[ModelVersion]:
        """Every version of a model."""
        return list(self.session.scalars(select(ModelVersion).where(ModelVersion.model_id == model_id)))

    def highest(self, model_id: int, limit: int) -> list[ModelVersion]:
        """The highest versions of a model, at most `limit`, the highest first."""
        mine = select(ModelVersion).where(ModelVersion.model_id == model_id)
        return list(self.session.scalars(mine.order_by(*_HIGHEST).limit(limit)))

    def add(self, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
        """Insert a version with its tags; the model must not have that version."""
        self.insert(version)
        rows: list[dict[str, object]] = [
            {"model_version_id": version.id, "key": key, "value": value} for key, value in tags.items()
        ]
        if rows:
            self.write_rows(insert(ModelVersionTag), rows)
            hold_one(self.session, version.id, ATTACHED, tags.values())
        return version

    def delete(self, version: ModelVersion) -> None:
        """Remove a version with its package."""
        self.session.delete(version)
        self.session.flush()

    def search(
        self, project_id: int, clauses: Sequence[Clause], orders: Sequence[Order], cursor: Cursor, limit: int
    ) -> tuple[list[ModelVersion], Cursor | None]:
        """A page of a project's versions, the last changed first unless ordered otherwise."""
        statement = select(ModelVersion.id).join(Model, Model.id == ModelVersion.model_id)
        mine = statement.where(ModelVersion.project_id == project_id, *conditions(VERSIONS, clauses))
        usual = () if orders else (SortKey(ModelVersion.updated_at, descending=True), SortKey(Model.name))
        keys = (*attribute_keys(VERSIONS, orders), *usual, SortKey(ModelVersion.id, descending=True))
        page = read_page(self.session, [Section(mine, keys)], cursor, limit, ATTACHED)
        return self.entities(ModelVersion, page.ids), page.following

    def tags(self, version_ids: Sequence[int]) -> dict[int, dict[str, str]]:
        """The tags of versions by their ids."""
        return self.values(ModelVersionTag.model_version_id, ModelVersionTag.key, ModelVersionTag.value, version_ids)

    def set_tag(self, version: ModelVersion, key: str, value: str) -> None:
        """Set a tag, whether or not there is one of that key."""
        statement = upsert(self.dialect, ModelVersionTag).values(model_version_id=version.id, key=key, value=value)
        self.session.execute(
            statement.on_conflict_do_update(index_elements=["model_version_id", "key"], set_={"value": value})
        )
        hold_one(self.session, version.id, ATTACHED, [value])
        version.updated_at = now()

    def delete_tag(self, version: ModelVersion, key: str) -> bool:
        """Remove a tag; whether there was one."""
        mine = (ModelVersionTag.model_version_id == version.id) & (ModelVersionTag.key == key)
        return self.changed(delete(ModelVersionTag).where(mine))

    def aliases(self, version_ids: Sequence[int]) -> dict[int, list[str]]:
        """The aliases of versions by their ids."""
        found: dict[int, list[str]] = defaultdict(list)
        for version_id, alias in self.tuples(_ALIASES, {"ids": version_ids}):
            found[version_id].append(alias)
        return found

    def add_origin(self, version_id: int, facts: str) -> None:
        """Keep which job made a version."""
        self.insert(VersionOrigin(model_version_id=version_id, facts=facts))

    def origins(self, version_ids: Sequence[int]) -> dict[int, str]:
        """The jobs that made versions, as JSON, by the ids of those that jobs made."""
        return dict(self.tuples(_ORIGINS, {"ids": version_ids}))
