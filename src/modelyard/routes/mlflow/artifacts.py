"""MLflow's artifact proxy, on the very files of the file API.

Paths below `artifacts/` begin with whose files are meant: a version's id, `candidate:<iid>` or `models/m-…`, perhaps
behind `projects/<id>/` for another project than that of the tracking URI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NotRequired
from urllib.parse import quote

from fastapi import Request, Response
from pydantic import Field
from typing_extensions import TypedDict

from modelyard.errors import DoesNotExist, FileNotFound, InvalidValue, MLflowError, NotFound
from modelyard.registry.files.packages import Child
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.params import parameters
from modelyard.routes.http.path_params import FileName, ProjectKey
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.transferred import BODY, DOWNLOADED, STORED
from modelyard.routes.http.transfers import files_of, serve, store
from modelyard.routes.mlflow.common import InProject, ProjectCall, mlflow_router, project_call
from modelyard.routes.mlflow.messages import Message
from modelyard.services.files import artifacts
from modelyard.services.files.locating import Address
from modelyard.terms.paths import MLFLOW, MLFLOW_ARTIFACTS, OwnerRef
from modelyard.wire.paths import parse_artifact_path, parse_file_name, parse_project, split_project

router = mlflow_router(MLFLOW_ARTIFACTS.removeprefix(MLFLOW), "mlflow artifacts")


class Directory(Message):
    """Which directory is listed."""

    path: str = Field(
        description="Perhaps `projects/<id>`, then `<version id>`, `candidate:<iid>` or `models/m-…`, then a directory."
    )


def directory_of(path: str | None) -> str:
    """The directory that a parameter names, the top for none. Raises ParameterError."""
    return parse_file_name(quote(path.strip("/"), safe="/:")) if path and path.strip("/") else ""


def file_list(children: Sequence[Child], directory: str = "") -> Files:
    """A directory as MLflow lists it: names, or paths where these are to begin with `directory`."""
    begin = f"{directory}/" if directory else ""
    return {"files": [_info(begin + child.name, child.size) for child in children]}


class FileInfo(TypedDict):
    """A file, or a directory, which has no size."""

    path: str
    is_dir: bool
    file_size: NotRequired[int]


class Files(TypedDict):
    """What lies in a directory."""

    files: list[FileInfo]


@router.get("/artifacts", summary="List a directory")
async def list_directory(project: InProject, wanted: Directory = parameters(Directory)) -> Answer[Files]:
    """Names are relative to it; there is nothing in a file, nor in what is not there."""
    place, owner, directory = _split(project, quote(wanted.path.strip("/"), safe="/:"))
    children = await place.search(lambda registry, pid: artifacts.list_directory(registry, pid, owner, directory))
    return answer(file_list(children))


@router.put(
    "/artifacts/{path:path}", summary="Upload a file", openapi_extra=BODY, responses={200: STORED, **refusing(412)}
)
async def upload(request: Request, project: ProjectKey, path: FileName) -> Answer[Nothing]:
    """As the file API does, but with an empty JSON object and 200 as answer."""
    address = _address(project, path)
    try:
        headers = await store(request, address, files_of(request))
    except NotFound as error:
        raise _missing(error, address) from error
    response = answer(NOTHING)
    response.headers.update(headers)
    return response


@router.head("/artifacts/{path:path}", include_in_schema=False)
@router.get("/artifacts/{path:path}", summary="Download a file", response_class=Response, responses=DOWNLOADED)
async def download(request: Request, project: ProjectKey, path: FileName) -> Response:
    """As the file API does, ranges and conditions included; but never without a token.

    A name that no file has is that of the one which MLflow's clients show by it: they decode what they list.
    """
    address, files = _address(project, path), files_of(request)
    try:
        try:
            return await serve(request, address, files, signed_in=True)
        except FileNotFound:
            place = project_call(request, project).elsewhere(address.project)
            name = await place.read(lambda reg, pid: artifacts.file_shown_as(reg, pid, address.owner, address.name))
            if name is None:
                raise
            return await serve(request, replace(address, name=name), files, signed_in=True)
    except (NotFound, FileNotFound) as error:
        raise _missing(error, address) from error


@router.delete("/artifacts/{path:path}", summary="Delete a file or a directory")
async def delete(project: InProject, path: FileName) -> Answer[Nothing]:
    """A directory goes with all that is in it; what is not there is gone already."""
    place, owner, name = _split(project, path)
    if not name:
        raise InvalidValue("A file or a directory must be named")
    await place.write(
        lambda registry, caller, pid: artifacts.delete_tree(registry, caller, pid, owner, name), adds=False
    )
    return answer(NOTHING)


@router.get("/presigned/{path:path}", status_code=501, summary="Presigned download: not offered")
async def presigned(project: InProject, path: FileName) -> Response:
    """MLflow's client then downloads through the server."""
    await project.read(lambda _registry, _pid: None)
    raise _not_implemented("Multipart download")


def _info(path: str, size: int | None) -> FileInfo:
    if size is None:
        return {"path": path, "is_dir": True}
    return {"path": path, "is_dir": False, "file_size": size}


def _address(project: str, path: str) -> Address:
    other, path = split_project(path)
    owner, name = parse_artifact_path(path)
    return Address(parse_project(project) if other is None else other, owner, parse_file_name(name))


def _split(project: ProjectCall, path: str) -> tuple[ProjectCall, OwnerRef, str]:
    other, path = split_project(path)
    owner, rest = parse_artifact_path(path)
    return project if other is None else project.elsewhere(other), owner, parse_file_name(rest) if rest else ""


def _missing(error: NotFound | FileNotFound, address: Address) -> Exception:
    """A missing file in MLflow's words; a missing project in GitLab's."""
    if str(error.body["message"]).startswith("404 Project"):
        return error
    return DoesNotExist(f"No artifact '{address.name}' exists")


def _not_implemented(what: str) -> MLflowError:
    # The one server error that MLflow's client takes for an answer: it falls back to plain transfers.
    message = f"{what} is not supported for the current artifact repository"
    return MLflowError("NOT_IMPLEMENTED", message, 501)
