"""A run's files by its id, as clients list them that do not speak MLflow's artifact proxy."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from modelyard.routes.http.params import parameters, query_documented
from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.artifacts import directory_of, file_list
from modelyard.routes.mlflow.common import PREFIX, InProject, answer
from modelyard.routes.mlflow.messages import OfRun
from modelyard.services.files import artifacts

router = APIRouter(prefix=f"{PREFIX}/artifacts", tags=["mlflow"])


class RunDirectory(OfRun):
    """Which directory of which run is listed."""

    path: str | None = None
    page_token: str | None = None


@router.get("/list", summary="List a run's files", openapi_extra=query_documented(RunDirectory))
async def list_files(request: Request, project: InProject, wanted: RunDirectory = parameters(RunDirectory)) -> Response:
    """Directly in one directory, with paths from the run's root; nothing in a file, nor in what is not there."""
    directory = directory_of(wanted.path)
    candidate, children, token = await project.search(
        lambda registry, pid: artifacts.list_run_directory(registry, pid, wanted.run_id, directory, wanted.page_token)
    )
    root = {"root_uri": shapes.artifact_uris(request, candidate.project_id).of(candidate)}
    return answer(root | file_list(children, directory) | {"next_page_token": token})
