"""Which server this is."""

from __future__ import annotations

from fastapi import APIRouter

from modelyard import __version__
from modelyard.routes.call import ApiCall

router = APIRouter(prefix="/api/v4", tags=["operations"])


@router.get("/version", summary="Version of the server")
async def version(call: ApiCall) -> dict[str, str]:
    """For signed-in callers only, as in GitLab."""
    await call.read(lambda _registry, _caller: None)
    return {"version": __version__, "revision": "modelyard"}
