"""MLflow's model versions. Wherever a version is named, its id and its semantic version will do."""

from __future__ import annotations

from typing import Annotated, ClassVar

from fastapi import Request
from pydantic import Field
from typing_extensions import TypedDict

from modelyard.errors import InvalidValue
from modelyard.registry.repository import Registry
from modelyard.routes.http import urls
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.params import LONG_BODY_BYTES, parameters, stating
from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.common import (
    MAX_LISTED,
    REST,
    Description,
    InProject,
    RegistryKey,
    RegistryTag,
    SearchQuery,
    Value,
    mlflow_router,
    tags_by_key,
)
from modelyard.routes.mlflow.messages import Count, Flag, Id, Message
from modelyard.routes.mlflow.pages import Piece, page
from modelyard.routes.mlflow.records import ModelVersion, ShownVersion
from modelyard.routes.mlflow.uris import Here
from modelyard.services.models import versions
from modelyard.services.models.new_versions import NewVersion, create_version
from modelyard.services.models.stages import Stage
from modelyard.services.tracking.limits import MAX_RUN_ID, MAX_SOURCE

router = mlflow_router(f"{REST}/model-versions")

Source = Annotated[str, stating(maxLength=MAX_SOURCE)]
RunId = Annotated[str, Field(max_length=MAX_RUN_ID)]


class CreateVersion(Message):
    """Parameters of a version to be made; the tag `gitlab.version` names its semantic version."""

    name: str
    description: Description | None = None
    source: Source | None = Field(None, description="A run, logged model or version whose files it is to have.")
    run_id: RunId | None = Field(None, description="A run to promote, or the one that `source` came from.")
    run_link: Annotated[str, Field(max_length=MAX_SOURCE)] | None = None
    model_id: str | None = Field(None, description="A logged model whose files it is to have.")
    tags: list[RegistryTag] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)


class Version(Message):
    """Which version is meant."""

    name: str
    version: Id = Field(description="Id or semantic version.")


class UpdateVersion(Message):
    """What is to change of a version; GitLab has an error of its own where none is named."""

    name: str | None = None
    version: Id | None = None
    description: Description | None = None


class Transition(Version):
    """The stage that a version is to have."""

    stage: Annotated[str, stating(enum=list(Stage))]
    archive_existing_versions: Flag = False


class TagKey(Version):
    """Which tag is meant."""

    key: RegistryKey


class SetTag(TagKey):
    """A tag to be set."""

    value: Value = ""


class VersionSearch(SearchQuery):
    """Parameters of a search for versions."""

    max_results: Count = 10_000

    most: ClassVar[int] = 200_000


class FoundVersions(TypedDict):
    """A page of versions."""

    model_versions: list[ModelVersion]
    next_page_token: str | None


class DownloadUri(TypedDict):
    """Where a version's files lie."""

    artifact_uri: str


@router.post("/create", summary="Create a model version")
async def create(
    request: Request, project: InProject, new: CreateVersion = parameters(CreateVersion)
) -> Answer[ShownVersion]:
    """The answer's `version` is the id that the file API takes."""
    wanted = NewVersion(
        model=new.name,
        description=new.description or "",
        source=new.source or "",
        run_id=new.run_id,
        model_id=new.model_id,
        run_link=new.run_link or "",
        tags=tags_by_key(new.tags),
    )
    here, quota = Here(urls.own_names(request)), request.app.state.settings.project_quota
    view = await project.write(
        lambda registry, caller, pid: create_version(registry, caller, pid, wanted, here.read_source, quota)
    )
    return answer({"model_version": shapes.model_version(view)})


@router.get("/get", summary="Show a version")
async def get(project: InProject, wanted: Version = parameters(Version)) -> Answer[ShownVersion]:
    """By its model's name and its own id or semantic version."""
    view = await project.read(lambda registry, pid: versions.get_version(registry, pid, wanted.name, wanted.version))
    return answer({"model_version": shapes.model_version(view)})


@router.patch("/update", summary="Change a version's description")
async def update(
    project: InProject, change: UpdateVersion = parameters(UpdateVersion, most=LONG_BODY_BYTES)
) -> Answer[ShownVersion]:
    """Nothing else of a version can be changed so."""
    name, version = change.name, change.version
    if name is None or version is None:
        raise InvalidValue("name and version are needed")
    view = await project.write(
        lambda registry, _caller, pid: versions.update_version(registry, pid, name, version, change.description)
    )
    return answer({"model_version": shapes.model_version(view)})


@router.delete("/delete", summary="Delete a version")
async def delete(project: InProject, wanted: Version = parameters(Version)) -> Answer[Nothing]:
    """With its candidate and its files; a run that was promoted keeps its own."""
    await project.write(
        lambda registry, _caller, pid: versions.delete_version(registry, pid, wanted.name, wanted.version), adds=False
    )
    return answer(NOTHING)


@router.get("/search", summary="Search versions by query")
@router.post("/search", summary="Search versions")
async def search(
    project: InProject, query: VersionSearch = parameters(VersionSearch, most=LONG_BODY_BYTES)
) -> Answer[FoundVersions]:
    """With MLflow's filters and orders, over all models of the project."""

    def read(registry: Registry, pid: int, token: str | None, limit: int) -> Piece:
        views, following = versions.search_versions(registry, pid, query.search(token, limit))
        return [shapes.model_version(view) for view in views], following

    return await page(project, FoundVersions, read, query.page_token, query.limit)


@router.get("/get-download-uri", summary="Show where a version's files lie")
async def download_uri(project: InProject, wanted: Version = parameters(Version)) -> Answer[DownloadUri]:
    """In MLflow's own scheme; what has no files here, but was made from a place elsewhere, has them there."""
    version, elsewhere = await project.read(
        lambda registry, pid: versions.download_location(registry, pid, wanted.name, wanted.version)
    )
    return answer({"artifact_uri": elsewhere or shapes.version_uri(version)})


@router.post("/transition-stage", summary="Move a version to a stage")
async def transition(project: InProject, wanted: Transition = parameters(Transition)) -> Answer[ShownVersion]:
    """Perhaps archiving all others that are in it."""
    view = await project.write(
        lambda registry, _caller, pid: versions.transition(
            registry, pid, wanted.name, wanted.version, wanted.stage, archive_others=wanted.archive_existing_versions
        ),
        adds=False,
    )
    return answer({"model_version": shapes.model_version(view)})


@router.post("/set-tag", summary="Set a tag of a version")
async def set_tag(project: InProject, tag: SetTag = parameters(SetTag, most=LONG_BODY_BYTES)) -> Answer[Nothing]:
    """Whether or not there is one of that key."""
    await project.write(
        lambda registry, _caller, pid: versions.set_tag(registry, pid, tag.name, tag.version, tag.key, tag.value)
    )
    return answer(NOTHING)


@router.delete("/delete-tag", summary="Delete a tag of a version")
async def delete_tag(project: InProject, tag: TagKey = parameters(TagKey)) -> Answer[Nothing]:
    """By its key."""
    await project.write(
        lambda registry, _caller, pid: versions.delete_tag(registry, pid, tag.name, tag.version, tag.key), adds=False
    )
    return answer(NOTHING)
