"""The page of a project: what it is, what is in it; and what is changed of it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action, Role, Visibility, effective_role
from modelyard.errors import InvalidFields
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Project
from modelyard.routes.pages import snippets
from modelyard.routes.pages.forms import Form
from modelyard.routes.pages.frame import InProject, View, enter
from modelyard.routes.pages.projects import VISIBILITIES
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.files.quota import limit_of
from modelyard.services.models import overviews
from modelyard.services.people import projects

subject = Subject()

NEWEST = 10  # versions, and runs


@subject.get("/{project:project}/edit")
async def ask_for_change(request: Request) -> Response:
    """The form for a project's name, description and visibility, and the way to delete it."""
    visit = Visit(request)
    await visit.identify()
    return await _edit(visit, None)


@subject.post("/{project:project}/edit")
async def change(request: Request) -> Response:
    """Another name, description or visibility of a project."""
    visit = Visit(request)
    form = await visit.form(again=_edit)
    description = form.get("description", "").strip()
    wanted = projects.ProjectChange(form.text("name"), visibility=_visibility(form), description=description)
    await visit.change(lambda registry, caller: projects.update(registry, caller, visit.project_path, wanted))
    return visit.redirect(visit.links.project(visit.project_path), "The project has been changed")


@subject.get("/{project:project}/-/delete")
async def ask_to_delete(request: Request) -> Response:
    """What goes with a project."""
    return await _deletion(Visit(request))


@subject.post("/{project:project}/-/delete")
async def delete(request: Request) -> Response:
    """A project's end, once its path has been typed."""
    visit = Visit(request)
    form = await visit.form(again=lambda visit, _form, error, status: _deletion(visit, error, status))

    def work(registry: Registry, caller: Identity) -> str:
        path = enter(registry, caller, visit.project_path, Action.OWN).path
        if form.get("path") != path:
            raise InvalidFields(path="is not the project's")
        projects.delete(registry, caller, path)
        return path

    path = await visit.change(work)
    return visit.redirect(visit.links.to("/"), f"{path} has been deleted")


@subject.get("/projects/{number:number}")
async def by_number(request: Request) -> Response:
    """A project by its id, as GitLab has it."""
    visit = Visit(request)
    path = await visit.find(lambda registry, caller: enter(registry, caller, visit.number("number")).path)
    return visit.redirect(visit.links.project(path))


@subject.get("/{project:project}")
async def show(request: Request) -> Response:
    """A project, for whoever sees it."""
    visit = Visit(request)
    quota = request.app.state.settings.project_quota

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path)
        project, facts = projects.show(registry, caller, found.id)
        told = effective_role(caller, facts) >= Role.REPORTER  # as the API tells of storage
        values = {
            "shown": project,
            "counts": registry.overview.counts(found.id),
            "used": registry.storage.used(found.id) if told else None,
            "limit": limit_of(project.storage_limit, quota),
            "newest": overviews.newest_versions(registry, [found.id], NEWEST),
            "runs": registry.overview.newest_runs([found.id], NEWEST),
            "begin": snippets.begin(visit.links, found),
            "uri": snippets.tracking_uri(visit.links, found),
        }
        return View(["Overview"], values, found, active="overview")

    return await visit.show("projects/show.html", view)


def _visibility(form: Form) -> str | None:
    """What is chosen; who may not choose sends none."""
    chosen = form.text("visibility")
    if chosen and chosen not in set(Visibility):
        raise InvalidFields(visibility="does not have a valid value")
    return chosen or None


async def _edit(visit: Visit, form: Form | None, error: str = "", status: int = 200) -> Response:
    def view(registry: Registry, caller: Identity) -> View:
        found, project = _managed(visit, registry, caller, Action.MANAGE)
        before = {"name": project.name, "description": project.description, "visibility": project.visibility}
        values = {
            "typed": form if form is not None else Form(list(before.items())),
            "error": error,
            "visibilities": VISIBILITIES,
        }
        return View(["Edit project"], values, found, [("Edit", "")], "edit")

    return await visit.show("projects/edit.html", view, status=status)


async def _deletion(visit: Visit, error: str = "", status: int = 200) -> Response:
    def view(registry: Registry, caller: Identity) -> View:
        found, _project = _managed(visit, registry, caller, Action.OWN)
        values = {
            "counts": registry.overview.counts(found.id),
            "used": registry.storage.used(found.id),
            "error": error,
        }
        return View(["Delete project"], values, found, [("Delete", "")], "edit")

    return await visit.show("projects/delete.html", view, status=status)


def _managed(visit: Visit, registry: Registry, caller: Identity, action: Action) -> tuple[InProject, Project]:
    found = enter(registry, caller, visit.project_path, action)
    return found, projects.show(registry, caller, found.id)[0]
