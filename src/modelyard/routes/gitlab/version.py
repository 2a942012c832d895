"""Which server this is."""

from __future__ import annotations

from fastapi import APIRouter

from modelyard import __version__
from modelyard.routes.http.call import ApiCall

router = APIRouter(prefix="/api/v4", tags=["operations"])


VERSION = {"version": __version__, "revision": "modelyard"}
NO_KUBERNETES = {"enabled": False, "externalUrl": None, "externalK8sProxyUrl": None, "version": None}


@router.get("/version", summary="Version of the server")
async def version(call: ApiCall) -> dict[str, str]:
    """For signed-in callers only, as in GitLab."""
    await call.read(lambda _registry, _caller: None)
    return VERSION


@router.get("/metadata", summary="Version and parts of the server")
async def metadata(call: ApiCall) -> dict[str, object]:
    """For signed-in callers only, as in GitLab. There is no agent server for Kubernetes here."""
    await call.read(lambda _registry, _caller: None)
    return VERSION | {"kas": NO_KUBERNETES, "enterprise": False}
