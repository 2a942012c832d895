"""What all of GitLab's API shares."""

from __future__ import annotations

from fastapi import APIRouter

from modelyard.routes.http.refusals import Message, ParameterError, TokenError
from modelyard.routes.http.routing import Face, Route
from modelyard.terms.paths import API


class GitLabRoute(Route):
    """A route of GitLab's API."""

    face = Face("Refusal", Message | ParameterError | TokenError)


def gitlab_router(path: str, tag: str) -> APIRouter:
    """A router for what lies at `path` below the root of the API."""
    return APIRouter(prefix=API + path, tags=[tag], route_class=GitLabRoute)
