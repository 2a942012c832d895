"""Projects: those that one sees, a new one, and the page of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Visibility
from modelyard.registry.people.projects import ProjectFilter
from modelyard.registry.repository import Registry
from modelyard.routes.pages.forms import Form
from modelyard.routes.pages.frame import View
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.models import overviews
from modelyard.services.people import projects
from modelyard.terms.paging import PageRequest
from modelyard.terms.paths import NOBODY, parse_id

subject = Subject()

ROWS = 30  # on a page, as in GitLab
NEWEST = 5  # versions, and runs
Listed = dict[str, Any]
NEW = "/projects/new"
VISIBILITIES = (
    (Visibility.PRIVATE, "Members of the project see it."),
    (Visibility.INTERNAL, "Whoever is signed in sees it."),
    (Visibility.PUBLIC, "Everybody sees it, without signing in."),
)


@subject.get("/")
async def home(request: Request) -> Response:
    """The viewer's own projects; for strangers, and for those who have none, all that they see."""
    visit = Visit(request)

    def view(registry: Registry, caller: Identity) -> View:
        mine = _listed(registry, caller, visit.query, membership=True) if not caller.anonymous else None
        if mine is not None and (mine["projects"] or visit.query):
            return View(["Your projects"], mine | _lately(registry, mine) | {"section": "dashboard"})
        return View(["Projects"], _listed(registry, caller, visit.query) | {"section": "explore"})

    return await visit.show("projects/list.html", view)


@subject.get("/dashboard/projects")
async def list_own(request: Request) -> Response:
    """The projects that the viewer is a member of."""
    visit = Visit(request)
    await visit.identify()

    def view(registry: Registry, caller: Identity) -> View:
        found = _listed(registry, caller, visit.query, membership=True)
        return View(["Your projects"], found | _lately(registry, found) | {"section": "dashboard"})

    return await visit.show("projects/list.html", view)


@subject.get("/explore/projects")
@subject.get("/explore")
async def explore(request: Request) -> Response:
    """All projects that the viewer sees."""
    visit = Visit(request)

    def view(registry: Registry, caller: Identity) -> View:
        return View(["Explore projects"], _listed(registry, caller, visit.query) | {"section": "explore"})

    return await visit.show("projects/list.html", view)


@subject.get(NEW)
async def ask_for_new(request: Request) -> Response:
    """The form for a new project."""
    visit = Visit(request)
    await visit.identify()
    return await _new(visit, Form([]))


@subject.post(NEW)
async def create(request: Request) -> Response:
    """A new project, whose owner is the viewer."""
    visit = Visit(request)
    form = await visit.form(again=_new)
    new = projects.NewProject(
        name=form.text("name") or None,
        path=form.text("path") or None,
        namespace_path=form.text("namespace_path") or None,
        visibility=form.text("visibility") or Visibility.PRIVATE,
        description=form.get("description", "").strip(),
    )
    made = await visit.change(lambda registry, caller: _created(registry, caller, new))
    return visit.redirect(visit.links.project(made), "The project has been created")


def _created(registry: Registry, caller: Identity, new: projects.NewProject) -> str:
    return projects.create(registry, caller, new)[0].full_path


async def _new(visit: Visit, form: Form, error: str = "", status: int = 200) -> Response:
    def view(_registry: Registry, _caller: Identity) -> View:
        values = {"form": form, "error": error, "visibilities": VISIBILITIES}
        return View(["New project"], values)

    return await visit.show("projects/new.html", view, status=status)


def _lately(registry: Registry, listed: Listed) -> dict[str, object]:
    """What was made last in the projects of a page, unless somebody looks for one of them."""
    if listed["search"] or not listed["first"]:
        return {}
    places = {shown.project.id: shown.project.full_path for shown in listed["projects"]}
    newest = overviews.newest_versions(registry, list(places), NEWEST)
    return {"places": places, "newest": newest, "runs": registry.overview.newest_runs(list(places), NEWEST)}


def _listed(registry: Registry, caller: Identity, query: Mapping[str, str], *, membership: bool = False) -> Listed:
    """A page of projects, the newest first; the next begins before the last one's id."""
    search, before = query.get("search", "").strip(), parse_id(query.get("before", ""))
    narrowed = ProjectFilter(search=search or None, membership=membership, order_by="id")
    if before != NOBODY:
        narrowed = replace(narrowed, ids=(None, before - 1))
    page = projects.page(registry, caller, narrowed, PageRequest(per_page=ROWS, keyset="before"))
    last = page.items[-1].project.id if page.items and page.more else None
    told = {"projects": page.items, "search": search, "following": last, "first": before == NOBODY}
    return told | {"places": {}, "newest": [], "runs": []}
