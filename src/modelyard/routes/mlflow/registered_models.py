"""MLflow's registered models, with their tags and aliases."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from modelyard.errors import DoesNotExist
from modelyard.registry.repository import Registry
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.params import LONG_BODY_BYTES, parameters, stating
from modelyard.routes.http.routing import Traits
from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.common import (
    MAX_LISTED,
    REST,
    Description,
    InProject,
    RegistryKey,
    RegistryTag,
    SearchQuery,
    Texts,
    Value,
    mlflow_router,
    tags_by_key,
)
from modelyard.routes.mlflow.messages import Id, Message
from modelyard.routes.mlflow.pages import Piece, page
from modelyard.routes.mlflow.records import ModelVersion, RegisteredModel, ShownVersion
from modelyard.services.models import registered as models
from modelyard.services.models.names import MAX_ALIAS
from modelyard.services.tracking.limits import MAX_MODEL_NAME

router = mlflow_router(f"{REST}/registered-models")

Name = Annotated[str, stating(minLength=1, maxLength=MAX_MODEL_NAME)]


class NewModel(Message):
    """Parameters of a model to be registered."""

    name: Name
    description: Description | None = None
    tags: list[RegistryTag] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)


class ModelName(Message):
    """Which model is meant; to name none is to ask for one that does not exist, as in GitLab."""

    name: str | None = None

    @property
    def known(self) -> str:
        """The name. Raises DoesNotExist without one."""
        if self.name is None:
            raise DoesNotExist("No registered model is named")
        return self.name


class UpdateModel(ModelName):
    """What is to change of a model."""

    description: Description | None = None


class RenameModel(ModelName):
    """Parameters of a model to be renamed."""

    new_name: Name


class LatestVersions(ModelName):
    """Which versions are asked for."""

    stages: Texts = Field(default_factory=list, description="Stages, semantic versions or ids; none for every stage.")


class TagKey(ModelName):
    """Which tag is meant."""

    key: RegistryKey


class SetTag(TagKey):
    """A tag to be set."""

    value: Value = ""


class Alias(ModelName):
    """Which alias is meant."""

    alias: Annotated[str, stating(minLength=1, maxLength=MAX_ALIAS)]


class SetAlias(Alias):
    """An alias and the version that it is to name."""

    version: Id = Field(description="Id or semantic version.")


class ShownModel(TypedDict):
    """One model."""

    registered_model: RegisteredModel


class FoundModels(TypedDict):
    """A page of models."""

    registered_models: list[RegisteredModel]
    next_page_token: str | None


class ShownVersions(TypedDict):
    """Versions of one model."""

    model_versions: list[ModelVersion]


@router.post("/create", summary="Register a model")
@Traits(follows="project")
async def create(project: InProject, new: NewModel = parameters(NewModel)) -> Answer[ShownModel]:
    """Make the model, and the experiment of its candidates."""
    tags, description = tags_by_key(new.tags), new.description or ""
    view = await project.write(
        lambda registry, caller, pid: models.create_model(registry, caller, pid, new.name, description, tags)
    )
    return answer({"registered_model": shapes.registered_model(view)})


@router.get("/get", summary="Show a model")
async def get(project: InProject, wanted: ModelName = parameters(ModelName)) -> Answer[ShownModel]:
    """With the latest version of each stage, all of which may have long tags."""
    return await project.show(
        lambda registry, pid: {
            "registered_model": shapes.registered_model(models.get_model(registry, pid, wanted.known))
        }
    )


@router.patch("/update", summary="Change a model's description")
async def update(
    project: InProject, change: UpdateModel = parameters(UpdateModel, most=LONG_BODY_BYTES)
) -> Answer[ShownModel]:
    """The name is changed by `rename`."""
    view = await project.write(
        lambda registry, _caller, pid: models.update_model(registry, pid, change.known, change.description)
    )
    return answer({"registered_model": shapes.registered_model(view)})


@router.post("/rename", summary="Rename a model")
async def rename(project: InProject, change: RenameModel = parameters(RenameModel)) -> Answer[ShownModel]:
    """With its experiment and its packages."""
    view = await project.write(
        lambda registry, _caller, pid: models.rename_model(registry, pid, change.known, change.new_name), adds=False
    )
    return answer({"registered_model": shapes.registered_model(view)})


@router.delete("/delete", summary="Delete a model")
async def delete(project: InProject, wanted: ModelName = parameters(ModelName)) -> Answer[Nothing]:
    """With all its versions and their files."""
    await project.write(lambda registry, _caller, pid: models.delete_model(registry, pid, wanted.known), adds=False)
    return answer(NOTHING)


@router.get("/search", summary="Search models by query")
@router.post("/search", summary="Search models")
async def search(
    project: InProject, query: SearchQuery = parameters(SearchQuery, most=LONG_BODY_BYTES)
) -> Answer[FoundModels]:
    """With MLflow's filters and orders."""

    def read(registry: Registry, pid: int, token: str | None, limit: int) -> Piece:
        views, following = models.search_models(registry, pid, query.search(token, limit))
        return [shapes.registered_model(view) for view in views], following

    return await page(project, FoundModels, read, query.page_token, query.limit)


@router.get(
    "/get-latest-versions",
    summary="Show a model's latest versions by query",
)
@router.post("/get-latest-versions", summary="Show a model's latest versions")
async def latest_versions(
    project: InProject, wanted: LatestVersions = parameters(LatestVersions, most=LONG_BODY_BYTES)
) -> Answer[ShownVersions]:
    """The highest of each stage."""

    def found(registry: Registry, pid: int) -> ShownVersions:
        views = models.latest_versions(registry, pid, wanted.known, wanted.stages)
        return {"model_versions": [shapes.model_version(view) for view in views]}

    return await project.show(found)


@router.get("/alias", summary="Show the version of an alias")
async def by_alias(project: InProject, wanted: Alias = parameters(Alias)) -> Answer[ShownVersion]:
    """Every semantic version is an alias of itself."""
    view = await project.read(lambda registry, pid: models.by_alias(registry, pid, wanted.known, wanted.alias))
    return answer({"model_version": shapes.model_version(view)})


@router.post("/alias", summary="Set an alias")
async def set_alias(project: InProject, alias: SetAlias = parameters(SetAlias)) -> Answer[Nothing]:
    """Whatever it named before."""
    await project.write(
        lambda registry, _caller, pid: models.set_alias(registry, pid, alias.known, alias.alias, alias.version)
    )
    return answer(NOTHING)


@router.delete("/alias", summary="Delete an alias")
async def delete_alias(project: InProject, alias: Alias = parameters(Alias)) -> Answer[Nothing]:
    """The version stays."""
    await project.write(
        lambda registry, _caller, pid: models.delete_alias(registry, pid, alias.known, alias.alias), adds=False
    )
    return answer(NOTHING)


@router.post("/set-tag", summary="Set a tag of a model")
async def set_tag(project: InProject, tag: SetTag = parameters(SetTag, most=LONG_BODY_BYTES)) -> Answer[Nothing]:
    """Whether or not there is one of that key."""
    await project.write(lambda registry, _caller, pid: models.set_tag(registry, pid, tag.known, tag.key, tag.value))
    return answer(NOTHING)


@router.delete("/delete-tag", summary="Delete a tag of a model")
async def delete_tag(project: InProject, tag: TagKey = parameters(TagKey)) -> Answer[Nothing]:
    """By its key."""
    await project.write(lambda registry, _caller, pid: models.delete_tag(registry, pid, tag.known, tag.key), adds=False)
    return answer(NOTHING)
