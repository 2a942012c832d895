"""One search over what its viewer may see: projects, and models of all of them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.registry.hub.models import ModelFilter
from modelyard.registry.people.projects import ProjectFilter
from modelyard.registry.repository import Registry
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.people import projects
from modelyard.terms.paging import PageRequest

subject = Subject()

MOST = 50  # of a kind; who searches for more narrows the text
MAX_TEXT = 200  # characters


@subject.get("/search")
async def search(request: Request) -> Response:
    """Projects and models with a text in their names."""
    visit = Visit(request)
    text = visit.query.get("search", "").strip()[:MAX_TEXT]

    def view(registry: Registry, caller: Identity) -> View:
        found_projects, found_models = [], []
        if text:
            request_ = PageRequest(per_page=MOST, keyset="before")
            narrowed = ProjectFilter(search=text, order_by="id")
            found_projects = projects.page(registry, caller, narrowed, request_).items
            found_models = registry.seen_models.seen(caller, ModelFilter(text, order="lastModified"), None, MOST)
        values = {"text": text, "projects": found_projects, "models": found_models, "most": MOST}
        return View([f"Search for {text}" if text else "Search"], values)

    return await visit.show("search.html", view)
