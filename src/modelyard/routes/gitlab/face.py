"""What all of GitLab's API shares."""

from __future__ import annotations

from fastapi import APIRouter

from modelyard.routes.http.routing import Route
from modelyard.terms.paths import API


def gitlab_router(path: str, tag: str) -> APIRouter:
    """A router for what lies at `path` below the root of the API."""
    return APIRouter(prefix=API + path, tags=[tag], route_class=Route)
