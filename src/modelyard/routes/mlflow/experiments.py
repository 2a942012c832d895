"""MLflow's experiments."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from typing_extensions import TypedDict

from modelyard.errors import DoesNotExist
from modelyard.registry.repository import Registry
from modelyard.registry.search.runs import View
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.params import LONG_BODY_BYTES, parameters, stating
from modelyard.routes.http.routing import Traits
from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.common import (
    MAX_LISTED,
    REST,
    InProject,
    Key,
    PageToken,
    SearchQuery,
    Tag,
    Value,
    ViewType,
    mlflow_router,
    tags_by_key,
)
from modelyard.routes.mlflow.messages import Count, Id, Message
from modelyard.routes.mlflow.pages import Piece, page
from modelyard.routes.mlflow.records import Experiment
from modelyard.services.tracking import experiments
from modelyard.services.tracking.limits import MAX_EXPERIMENT_NAME

router = mlflow_router(f"{REST}/experiments")

MAX_EXPERIMENTS = 50_000  # on a page
Name = Annotated[str, stating(minLength=1, maxLength=MAX_EXPERIMENT_NAME)]


class NewExperiment(Message):
    """Parameters of an experiment to be made."""

    name: Name
    tags: list[Tag] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)


class ExperimentId(Message):
    """Which experiment is meant."""

    experiment_id: Id


class MaybeExperimentId(Message):
    """Which experiment is read; to name none is to ask for one that does not exist, as in GitLab."""

    experiment_id: Id | None = None


class ExperimentName(Message):
    """Which experiment is meant, by its name."""

    experiment_name: str | None = None


class RenameExperiment(ExperimentId):
    """Parameters of an experiment to be renamed."""

    new_name: Name


class TagKey(ExperimentId):
    """Which tag is meant."""

    key: Key


class SetTag(TagKey):
    """A tag to be set."""

    value: Value = ""


class ExperimentSearch(SearchQuery):
    """Parameters of a search for experiments."""

    max_results: Count = 1_000
    view_type: ViewType | Literal["", "ACTIVE"] = View.ACTIVE_ONLY

    most: ClassVar[int] = MAX_EXPERIMENTS


class ExperimentList(Message):
    """Which page of all experiments is shown."""

    max_results: Count = Field(MAX_EXPERIMENTS, description=f"{MAX_EXPERIMENTS} at most, and by itself.")
    page_token: PageToken | None = None

    @property
    def limit(self) -> int:
        """How many are asked for; 0 is the default."""
        return min(self.max_results or MAX_EXPERIMENTS, MAX_EXPERIMENTS)


class NewExperimentId(TypedDict):
    """The experiment that was made."""

    experiment_id: str


class ShownExperiment(TypedDict):
    """One experiment."""

    experiment: Experiment


class FoundExperiments(TypedDict):
    """A page of experiments."""

    experiments: list[Experiment]
    next_page_token: str | None


@router.post("/create", summary="Create an experiment")
@Traits(follows="project")
async def create(project: InProject, new: NewExperiment = parameters(NewExperiment)) -> Answer[NewExperimentId]:
    """The answer's id counts within the project."""
    tags = tags_by_key(new.tags)
    made = await project.write(
        lambda registry, caller, pid: experiments.create_experiment(registry, caller, pid, new.name, tags)
    )
    return answer({"experiment_id": str(made.iid)})


@router.get("/get", summary="Show an experiment")
async def get(project: InProject, wanted: MaybeExperimentId = parameters(MaybeExperimentId)) -> Answer[ShownExperiment]:
    """By its id, deleted or not."""
    view = await project.read(lambda registry, pid: experiments.get_experiment(registry, pid, _named(wanted)))
    return answer({"experiment": shapes.experiment(view)})


@router.get("/get-by-name", summary="Find an experiment")
async def get_by_name(
    project: InProject, wanted: ExperimentName = parameters(ExperimentName)
) -> Answer[ShownExperiment]:
    """By exactly that name, deleted or not."""
    view = await project.read(
        lambda registry, pid: experiments.get_by_name(registry, pid, wanted.experiment_name or "")
    )
    return answer({"experiment": shapes.experiment(view)})


@router.get("/list", summary="List experiments")
async def list_all(project: InProject, query: ExperimentList = parameters(ExperimentList)) -> Answer[FoundExperiments]:
    """All that are not deleted, those of models among them, newest first; in pages, as MLflow 1 had them."""

    def read(registry: Registry, pid: int, token: str | None, limit: int) -> Piece:
        views, following = experiments.list_experiments(registry, pid, token, limit)
        return [shapes.experiment(view) for view in views], following

    return await page(project, FoundExperiments, read, query.page_token, query.limit)


@router.get("/search", summary="Search experiments by query")
@router.post("/search", summary="Search experiments")
async def search(
    project: InProject, query: ExperimentSearch = parameters(ExperimentSearch, most=LONG_BODY_BYTES)
) -> Answer[FoundExperiments]:
    """With MLflow's filters and orders."""
    looked_at = query.view_type if isinstance(query.view_type, View) else View.ACTIVE_ONLY

    def read(registry: Registry, pid: int, token: str | None, limit: int) -> Piece:
        views, following = experiments.search_experiments(registry, pid, query.search(token, limit, looked_at))
        return [shapes.experiment(view) for view in views], following

    return await page(project, FoundExperiments, read, query.page_token, query.limit)


@router.post("/update", summary="Rename an experiment")
async def update(project: InProject, change: RenameExperiment = parameters(RenameExperiment)) -> Answer[Nothing]:
    """A model's own experiment keeps its name."""
    await project.write(
        lambda registry, _caller, pid: experiments.rename_experiment(
            registry, pid, change.experiment_id, change.new_name
        ),
        adds=False,
    )
    return answer(NOTHING)


@router.post("/delete", summary="Delete an experiment")
async def delete(project: InProject, wanted: ExperimentId = parameters(ExperimentId)) -> Answer[Nothing]:
    """With its runs; all of it can be restored."""
    await project.write(
        lambda registry, _caller, pid: experiments.delete_experiment(registry, pid, wanted.experiment_id), adds=False
    )
    return answer(NOTHING)


@router.post("/restore", summary="Restore a deleted experiment")
async def restore(project: InProject, wanted: ExperimentId = parameters(ExperimentId)) -> Answer[Nothing]:
    """With the runs that were deleted along with it."""
    await project.write(
        lambda registry, _caller, pid: experiments.restore_experiment(registry, pid, wanted.experiment_id), adds=False
    )
    return answer(NOTHING)


@router.post("/set-experiment-tag", summary="Set a tag of an experiment")
async def set_tag(project: InProject, tag: SetTag = parameters(SetTag, most=LONG_BODY_BYTES)) -> Answer[Nothing]:
    """Whether or not there is one of that key."""
    await project.write(
        lambda registry, _caller, pid: experiments.set_tag(registry, pid, tag.experiment_id, tag.key, tag.value)
    )
    return answer(NOTHING)


@router.post("/delete-experiment-tag", summary="Delete a tag of an experiment")
async def delete_tag(project: InProject, tag: TagKey = parameters(TagKey)) -> Answer[Nothing]:
    """By its key."""
    await project.write(
        lambda registry, _caller, pid: experiments.delete_tag(registry, pid, tag.experiment_id, tag.key), adds=False
    )
    return answer(NOTHING)


def _named(wanted: MaybeExperimentId) -> str:
    if wanted.experiment_id is None:
        raise DoesNotExist("No experiment is named")
    return wanted.experiment_id
