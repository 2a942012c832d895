"""A run's files by its id, as clients list them that do not speak MLflow's artifact proxy."""

from __future__ import annotations

from fastapi import Request

from modelyard.routes.http.answers import Answer, Url, answer
from modelyard.routes.http.params import parameters
from modelyard.routes.mlflow import shapes
from modelyard.routes.mlflow.artifacts import Files, directory_of, file_list
from modelyard.routes.mlflow.common import REST, InProject, mlflow_router
from modelyard.routes.mlflow.messages import OfRun
from modelyard.services.files import artifacts

router = mlflow_router(f"{REST}/artifacts")


class RunDirectory(OfRun):
    """Which directory of which run is listed."""

    path: str | None = None
    page_token: str | None = None


class RunFiles(Files):
    """What lies in a directory of a run."""

    root_uri: Url
    next_page_token: str | None


@router.get("/list", summary="List a run's files")
async def list_files(
    request: Request, project: InProject, wanted: RunDirectory = parameters(RunDirectory)
) -> Answer[RunFiles]:
    """Directly in one directory, with paths from the run's root; nothing in a file, nor in what is not there."""
    directory = directory_of(wanted.path)
    candidate, children, token = await project.search(
        lambda registry, pid: artifacts.list_run_directory(registry, pid, wanted.run_id, directory, wanted.page_token)
    )
    root = shapes.artifact_uris(request, candidate.project_id).of(candidate)
    return answer({"root_uri": root, **file_list(children, directory), "next_page_token": token})
