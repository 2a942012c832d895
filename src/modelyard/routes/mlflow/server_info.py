"""What MLflow's clients ask of a server itself."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import PlainTextResponse
from typing_extensions import TypedDict

from modelyard import __version__
from modelyard.routes.http.answers import Answer, answer
from modelyard.routes.mlflow.common import InProject, mlflow_router
from modelyard.routes.mlflow.parts import parts_of

router = mlflow_router("")


class ServerInfo(TypedDict):
    """What the server can do."""

    store_type: str
    workspaces_enabled: bool
    multipart_uploads_enabled: bool
    multipart_downloads_enabled: bool
    features_enabled: dict[str, bool]


@router.get("/api/3.0/mlflow/server-info", summary="Show what the server can do")
async def server_info(request: Request, project: InProject) -> Answer[ServerInfo]:
    """Clients choose between plain transfers and others by it."""
    await project.read(lambda _registry, _pid: None)
    return answer(
        {
            "store_type": "SqlStore",
            "workspaces_enabled": False,
            "multipart_uploads_enabled": parts_of(request) is not None,
            "multipart_downloads_enabled": False,
            "features_enabled": {},
        }
    )


@router.get("/version", summary="Show the server's version", response_class=PlainTextResponse)
async def version(project: InProject) -> PlainTextResponse:
    """As text."""
    await project.read(lambda _registry, _pid: None)
    return PlainTextResponse(__version__)


@router.get("/health", summary="Say that the server is up", response_class=PlainTextResponse)
async def health(project: InProject) -> PlainTextResponse:
    """As text, to whoever may see the project; `/-/health` needs no token."""
    await project.read(lambda _registry, _pid: None)
    return PlainTextResponse("OK")
