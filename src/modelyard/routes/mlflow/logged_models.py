"""MLflow 3's logged models."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field
from typing_extensions import TypedDict

from modelyard.errors import ParameterError
from modelyard.registry.repository import Registry
from modelyard.registry.search.logged_models import ModelOrder
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.params import LONG_BODY_BYTES, parameters, stating
from modelyard.routes.http.path_params import Segment
from modelyard.routes.http.routing import Traits
from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.artifacts import Files, directory_of, file_list
from modelyard.routes.mlflow.common import (
    MAX_LISTED,
    REST,
    Asked,
    Ids,
    InProject,
    Param,
    SearchQuery,
    Tag,
    mlflow_router,
    tags_by_key,
)
from modelyard.routes.mlflow.messages import NUMBERED, Flag, Id, Message
from modelyard.routes.mlflow.pages import Piece, page
from modelyard.routes.mlflow.records import LoggedModel
from modelyard.services.files import artifacts
from modelyard.services.models import logged_models
from modelyard.services.tracking.experiments import Search
from modelyard.services.tracking.limits import MAX_MODEL_NAME, MAX_RUN_ID
from modelyard.terms.filters import MAX_CLAUSES, MAX_ORDERS, Order, check_keys, parse_orders
from modelyard.terms.paths import OwnerKind, OwnerRef
from modelyard.wire.paths import decode_segment

router = mlflow_router(f"{REST}/logged-models")


class NewLoggedModel(Message):
    """Parameters of a model that is going to be logged."""

    experiment_id: Id
    name: Annotated[str, stating(maxLength=MAX_MODEL_NAME)] | None = None
    model_type: Annotated[str, Field(max_length=MAX_MODEL_NAME)] | None = None
    source_run_id: Annotated[str, stating(maxLength=MAX_RUN_ID)] | None = None
    params: list[Param] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)
    tags: list[Tag] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)


class Finalize(Message):
    """What became of a model's files."""

    status: Annotated[logged_models.LoggedModelStatus, NUMBERED]


class SetTags(Message):
    """Tags to be set."""

    tags: list[Tag] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)


class LogParams(Message):
    """Parameters to be added."""

    params: list[Param] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)


class DatasetFilter(Message):
    """A dataset that some metric was measured on."""

    dataset_name: str
    dataset_digest: str | None = None


class FieldOrder(Message):
    """A key to sort by."""

    field_name: Asked
    ascending: Flag = True
    dataset_name: str | None = None  # the one whose values of the metric count
    dataset_digest: str | None = None

    def orders(self) -> list[ModelOrder]:
        """The order for the service."""
        dataset = (self.dataset_name, self.dataset_digest) if self.dataset_name else None
        return [ModelOrder(Order(each.key, not self.ascending), dataset) for each in parse_orders([self.field_name])]


class LoggedModelSearch(SearchQuery):
    """Parameters of a search for logged models."""

    experiment_ids: Ids
    datasets: list[DatasetFilter] = Field(default_factory=list, max_length=MAX_CLAUSES, fail_fast=True)
    order_by: list[Asked | FieldOrder] = Field(default_factory=list, max_length=MAX_ORDERS, fail_fast=True)  # type: ignore[assignment] # this search has its own

    most: ClassVar[int] = 50_000

    def asked(self, token: str | None, limit: int) -> logged_models.LoggedModelSearch:
        """A piece of the search for the service, as `search` gives it of other things."""
        orders: list[ModelOrder] = []
        for each in self.order_by:
            orders += each.orders() if isinstance(each, FieldOrder) else map(ModelOrder, parse_orders([each]))
            check_keys([(order.order.key, order.dataset) for order in orders])
        datasets = [(each.dataset_name, each.dataset_digest) for each in self.datasets]
        return logged_models.LoggedModelSearch(Search(self.filter, limit=limit, page_token=token), orders, datasets)


class Directory(Message):
    """Which directory is listed."""

    artifact_directory_path: str | None = None


class ShownLoggedModel(TypedDict):
    """One logged model."""

    model: LoggedModel


class FoundLoggedModels(TypedDict):
    """A page of logged models."""

    models: list[LoggedModel]
    next_page_token: str | None


@router.post("", summary="Announce a model")
@Traits(makes=("model_id", "/model/info/model_id"))
async def create(project: InProject, new: NewLoggedModel = parameters(NewLoggedModel)) -> Answer[ShownLoggedModel]:
    """Its files are to follow, at the `artifact_uri` of the answer."""
    params = {param.key: param.value for param in new.params}
    wanted = logged_models.NewLoggedModel(
        new.experiment_id, new.name, new.model_type or "", new.source_run_id or "", params, tags_by_key(new.tags)
    )
    view = await project.write(
        lambda registry, caller, pid: logged_models.create_logged_model(registry, caller, pid, wanted)
    )
    return answer({"model": shapes.logged_model(view)})


@router.post("/search", summary="Search logged models")
async def search(
    project: InProject, query: LoggedModelSearch = parameters(LoggedModelSearch, most=LONG_BODY_BYTES)
) -> Answer[FoundLoggedModels]:
    """With MLflow's filters and orders, over any number of experiments."""

    def read(registry: Registry, pid: int, token: str | None, limit: int) -> Piece:
        asked = query.asked(token, limit)
        views, following = logged_models.search_logged_models(registry, pid, query.experiment_ids, asked)
        return [shapes.logged_model(view) for view in views], following

    return await page(project, FoundLoggedModels, read, query.page_token, query.limit)


@router.get("/{model_id}", summary="Show a logged model")
@Traits(follows="model_id")
async def get(project: InProject, model_id: Segment) -> Answer[ShownLoggedModel]:
    """With everything that was logged of it."""
    return await _shown(project, model_id)


@router.patch("/{model_id}", summary="Say that a model's files are complete")
async def finalize(
    project: InProject, model_id: Segment, change: Finalize = parameters(Finalize)
) -> Answer[ShownLoggedModel]:
    """Or that they never will be."""
    await project.write(
        lambda registry, _caller, pid: logged_models.finalize(registry, pid, model_id, change.status), adds=False
    )
    return await _shown(project, model_id)


@router.delete("/{model_id}", summary="Delete a logged model")
@Traits(follows="model_id")
async def delete(project: InProject, model_id: Segment) -> Answer[Nothing]:
    """With its files; versions that were made from it keep theirs."""
    await project.write(
        lambda registry, _caller, pid: logged_models.delete_logged_model(registry, pid, model_id), adds=False
    )
    return answer(NOTHING)


@router.patch("/{model_id}/tags", summary="Set tags of a logged model")
async def set_tags(
    project: InProject, model_id: Segment, change: SetTags = parameters(SetTags)
) -> Answer[ShownLoggedModel]:
    """Whether or not there are any of these keys."""
    tags = {tag.key: tag.value for tag in change.tags}
    await project.write(lambda registry, _caller, pid: logged_models.set_tags(registry, pid, model_id, tags))
    return await _shown(project, model_id)


@router.delete("/{model_id}/tags/{key}", summary="Delete a tag of a logged model")
async def delete_tag(project: InProject, model_id: Segment, key: Segment) -> Answer[Nothing]:
    """By its key."""
    try:
        name = decode_segment(key)
    except ValueError as error:
        raise ParameterError("key is invalid") from error
    await project.write(
        lambda registry, _caller, pid: logged_models.delete_tag(registry, pid, model_id, name), adds=False
    )
    return answer(NOTHING)


@router.post("/{model_id}/params", summary="Add parameters to a logged model")
async def log_params(
    project: InProject, model_id: Segment, logged: LogParams = parameters(LogParams)
) -> Answer[Nothing]:
    """Parameters are written once."""
    params = {param.key: param.value for param in logged.params}
    await project.write(lambda registry, _caller, pid: logged_models.log_params(registry, pid, model_id, params))
    return answer(NOTHING)


@router.get(
    "/{model_id}/artifacts/directories",
    summary="List its files",
)
async def list_files(project: InProject, model_id: Segment, wanted: Directory = parameters(Directory)) -> Answer[Files]:
    """Directly in one directory."""
    directory = directory_of(wanted.artifact_directory_path)
    owner = OwnerRef(OwnerKind.LOGGED_MODEL, model_id)
    children = await project.search(lambda registry, pid: artifacts.list_directory(registry, pid, owner, directory))
    return answer(file_list(children))


async def _shown(project: InProject, model_id: str) -> Answer[ShownLoggedModel]:
    """A logged model; the last points of its metrics are looked for among all, where nobody waits for it."""
    return await project.show(
        lambda registry, pid: {"model": shapes.logged_model(logged_models.get_logged_model(registry, pid, model_id))}
    )
