"""MLflow's runs, which are GitLab's candidates: beginning, ending, finding and deleting them."""

from __future__ import annotations

from typing import Annotated, ClassVar

from fastapi import Request
from pydantic import Field
from typing_extensions import TypedDict

from modelyard.registry.repository import Registry
from modelyard.registry.search.runs import View
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.params import LONG_BODY_BYTES, parameters, stating
from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.common import (
    MAX_LISTED,
    REST,
    Ids,
    InProject,
    SearchQuery,
    Tag,
    ViewType,
    mlflow_router,
    tags_by_key,
)
from modelyard.routes.mlflow.messages import NUMBERED, Count, Id, Int64, Message, NumberOrText, OfRun
from modelyard.routes.mlflow.pages import Piece, page
from modelyard.routes.mlflow.records import Run, RunInfo
from modelyard.services.tracking import runs
from modelyard.services.tracking.limits import MAX_RUN_NAME, MAX_USER

router = mlflow_router(f"{REST}/runs")

RunName = Annotated[str, stating(maxLength=MAX_RUN_NAME)]
User = Annotated[NumberOrText, stating(maxLength=MAX_USER)]


class CreateRun(Message):
    """Parameters of a run that begins."""

    experiment_id: Id
    run_name: RunName | None = None
    start_time: Int64 = Field(0, description="Milliseconds since 1970.")
    user_id: User | None = Field(None, description="Found by searches; what is shown is the token's owner.")
    tags: list[Tag] = Field(default_factory=list, max_length=MAX_LISTED, fail_fast=True)


class UpdateRun(OfRun):
    """What is to change of a run."""

    status: Annotated[runs.RunStatus, NUMBERED] | None = None
    end_time: Int64 | None = None
    run_name: RunName | None = None


class RunSearch(SearchQuery):
    """Parameters of a search for runs."""

    experiment_ids: Ids
    max_results: Count = 1_000
    run_view_type: ViewType = View.ACTIVE_ONLY

    most: ClassVar[int] = 50_000


class ShownRun(TypedDict):
    """One run."""

    run: Run


class UpdatedRun(TypedDict):
    """A run that was changed, without what was logged to it."""

    run_info: RunInfo


class FoundRuns(TypedDict):
    """A page of runs."""

    runs: list[Run]
    next_page_token: str | None


@router.post("/create", summary="Begin a run")
async def create(request: Request, project: InProject, new: CreateRun = parameters(CreateRun)) -> Answer[ShownRun]:
    """The run is the candidate whose iid `artifact_uri` names."""
    wanted = runs.NewRun(new.experiment_id, new.run_name, new.start_time, new.user_id, tags_by_key(new.tags))
    view = await project.write(lambda registry, caller, pid: runs.create_run(registry, caller, pid, wanted))
    return answer({"run": shapes.run(request, view)})


@router.get("/get", summary="Show a run")
async def get(request: Request, project: InProject, wanted: OfRun = parameters(OfRun)) -> Answer[ShownRun]:
    """With everything that was logged to it."""
    view = await project.read(lambda registry, pid: runs.get_run(registry, pid, wanted.run_id))
    return answer({"run": shapes.run(request, view)})


@router.post("/search", summary="Search runs")
async def search(
    request: Request, project: InProject, query: RunSearch = parameters(RunSearch, most=LONG_BODY_BYTES)
) -> Answer[FoundRuns]:
    """With MLflow's filters and orders, over any number of experiments."""

    def read(registry: Registry, pid: int, token: str | None, limit: int) -> Piece:
        wanted, uris = query.search(token, limit, query.run_view_type), shapes.artifact_uris(request, pid)
        views, following = runs.search_runs(registry, pid, query.experiment_ids, wanted, uris)
        return [shapes.run(request, view) for view in views], following

    return await page(project, FoundRuns, read, query.page_token, query.limit)


@router.post("/update", summary="Change a run")
async def update(request: Request, project: InProject, change: UpdateRun = parameters(UpdateRun)) -> Answer[UpdatedRun]:
    """Its status, its end or its name."""
    wanted = runs.RunChange(change.status, change.end_time, change.run_name)
    view = await project.write_run(
        change.run_id, lambda registry, _caller, pid: runs.update_run(registry, pid, change.run_id, wanted), adds=False
    )
    return answer({"run_info": shapes.run_info(request, view)})


@router.post("/delete", summary="Delete a run")
async def delete(project: InProject, wanted: OfRun = parameters(OfRun)) -> Answer[Nothing]:
    """It can be restored."""
    await project.write(lambda registry, _caller, pid: runs.delete_run(registry, pid, wanted.run_id), adds=False)
    return answer(NOTHING)


@router.post("/restore", summary="Restore a deleted run")
async def restore(project: InProject, wanted: OfRun = parameters(OfRun)) -> Answer[Nothing]:
    """With everything that was logged to it."""
    await project.write(lambda registry, _caller, pid: runs.restore_run(registry, pid, wanted.run_id), adds=False)
    return answer(NOTHING)
