"""How much of a project there is, and how much of it there may be."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import Forbidden, Unauthorized
from modelyard.registry.repository import Registry
from modelyard.routes.pages.frame import View, enter
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.files.quota import limit_of
from modelyard.services.people import projects

subject = Subject()

USAGE = "/-/usage_quotas"


@subject.get("/{project:project}" + USAGE)
async def show(request: Request) -> Response:
    """Bytes of files and of all else, for those whom the API tells of storage: reporters and above."""
    visit, settings = Visit(request), request.app.state.settings

    def view(registry: Registry, caller: Identity) -> View:
        if caller.anonymous:
            raise Unauthorized
        found = enter(registry, caller, visit.project_path)
        if not found.told_of_storage:
            raise Forbidden
        project, _facts = projects.show(registry, caller, found.id)
        values = {
            "used": registry.storage.used(found.id),
            "limit": limit_of(project.storage_limit, settings.project_quota),
            "rows": registry.rows.used(found.id),
            "rows_limit": settings.project_rows_quota,
            "counts": registry.overview.counts(found.id),
        }
        return View(["Usage quotas"], values, found, [("Usage quotas", "")], "usage")

    return await visit.show("projects/usage.html", view)
