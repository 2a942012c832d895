"""Which server this is."""

from __future__ import annotations

from typing_extensions import TypedDict

from modelyard import __version__
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.http.answers import Url
from modelyard.routes.http.call import ApiCall

router = gitlab_router("", "operations")


class Version(TypedDict):
    """Which version of the server this is."""

    version: str
    revision: str


class AgentServer(TypedDict):
    """The agent server for Kubernetes."""

    enabled: bool
    externalUrl: Url | None
    externalK8sProxyUrl: Url | None
    version: str | None


class Metadata(Version):
    """Version and parts of the server."""

    kas: AgentServer
    enterprise: bool


VERSION: Version = {"version": __version__, "revision": "modelyard"}
NO_KUBERNETES: AgentServer = {"enabled": False, "externalUrl": None, "externalK8sProxyUrl": None, "version": None}


@router.get("/version", summary="Version of the server")
async def version(call: ApiCall) -> Version:
    """For signed-in callers only, as in GitLab."""
    await call.read(lambda _registry, _caller: None)
    return VERSION


@router.get("/metadata", summary="Version and parts of the server")
async def metadata(call: ApiCall) -> Metadata:
    """For signed-in callers only, as in GitLab. There is no agent server for Kubernetes here."""
    await call.read(lambda _registry, _caller: None)
    return {**VERSION, "kas": NO_KUBERNETES, "enterprise": False}
