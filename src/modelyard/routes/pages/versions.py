"""Versions of a model: card, metrics and how to use each; a new one, another card, and the end of one."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.errors import ApiError
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Model, ModelVersion
from modelyard.routes.pages import snippets
from modelyard.routes.pages.cards import Draft, changed_meanwhile, draft_of
from modelyard.routes.pages.forms import Form, sentence
from modelyard.routes.pages.frame import InProject, View, enter
from modelyard.routes.pages.markdown import card
from modelyard.routes.pages.models import tag_form
from modelyard.routes.pages.previews import Shown, look
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.version_frame import VERSION, VERSIONS, crumbs_of, opened, version_values
from modelyard.routes.pages.visit import Visit
from modelyard.services.files import folders
from modelyard.services.hub.repositories import Namer
from modelyard.services.models import overviews, versions
from modelyard.services.models.measured import measured
from modelyard.services.models.new_versions import VERSION_TAG, NewVersion, create_version
from modelyard.services.models.uris import SourceUri
from modelyard.services.previews.mlmodel import MLmodel

subject = Subject()


@subject.get(f"{VERSIONS}/new")
async def ask_for_new(request: Request) -> Response:
    """The form for a new version."""
    visit = Visit(request)
    await visit.identify()
    return await _new(visit, Form([]))


@subject.post(f"{VERSIONS}/new")
async def create(request: Request) -> Response:
    """A new version, which has no files yet."""
    visit = Visit(request)
    form = await visit.form(again=_new)
    if "preview" in form:
        return await _new(visit, form)
    tags = {VERSION_TAG: form.text("version")} if form.text("version") else {}
    quota = request.app.state.settings.project_quota

    def work(registry: Registry, caller: Identity, project_id: int) -> int:
        model = overviews.model_by_id(registry, project_id, visit.number("model"))
        new = NewVersion(model.name, form.get("description", ""), tags=tags)
        return create_version(registry, caller, project_id, new, _no_source, quota).version.id

    made = await visit.change_in_project(work)
    return visit.redirect(_url(visit, made, tab="files"), "The version has been created")


@subject.get(VERSION)
async def show(request: Request) -> Response:
    """A version; what is asked for by `tab`."""
    return await shown(Visit(request))


async def shown(visit: Visit, form: Form | None = None, error: ApiError | None = None) -> Response:
    """The page of a version; with why a form on it was refused, and what was typed."""
    tab = visit.query.get("tab", "card")
    if tab == "files":
        return visit.redirect(_url(visit, visit.number("version"), "/tree"))
    described = await _mlmodel(visit) if tab == "card" else None

    def view(registry: Registry, caller: Identity) -> View:
        found, model, version = opened(visit, registry, caller)
        details = overviews.version_details(registry, model, version)
        values = version_values(details, tab) | {
            "form": form if form is not None else tag_form(visit, details.view.tags),
            "error": sentence(error) if error else "",
            "card": card(version.description) if tab == "card" else None,
            "described": described,
            "lineage": overviews.lineage(registry, version, details.candidate) if tab == "card" else None,
            "logged": measured(registry, found.id, [version])[version.id] if tab == "metrics" else None,
            "snippets": _use(visit, registry, found, model, version) if tab == "use" else [],
        }
        return View([version.version, model.name], values, found, crumbs_of(visit, found, model, version), "models")

    return await visit.show("versions/show.html", view, status=error.status if error else 200)


@subject.get(f"{VERSION}/edit")
async def ask_for_change(request: Request) -> Response:
    """The form for a version's card."""
    visit = Visit(request)
    await visit.identify()
    return await _edit(visit, None)


@subject.post(f"{VERSION}/edit")
async def change(request: Request) -> Response:
    """Another card of a version."""
    visit = Visit(request)
    form = await visit.form(again=_edit)
    if "preview" in form:
        return await _edit(visit, form)
    text = form.get("description", "")

    def work(registry: Registry, project_id: int, model: Model, version: ModelVersion) -> None:
        changed_meanwhile(form, version.description)
        versions.update_version(registry, project_id, model.name, str(version.id), text)

    await _change(visit, work)
    return visit.redirect(_url(visit, visit.number("version")), "The card has been saved")


@subject.get(f"{VERSION}/delete")
async def ask_to_delete(request: Request) -> Response:
    """What goes with a version."""
    visit = Visit(request)

    def view(registry: Registry, caller: Identity) -> View:
        found, model, version = opened(visit, registry, caller, Action.WRITE)
        values = {"details": overviews.version_details(registry, model, version), "model": model, "version": version}
        crumbs = [*crumbs_of(visit, found, model, version, link=True), ("Delete", "")]
        return View(["Delete", version.version, model.name], values, found, crumbs, "models")

    return await visit.show("versions/delete.html", view)


@subject.post(f"{VERSION}/delete")
async def delete(request: Request) -> Response:
    """A version's end, with its files and run; a run that was promoted keeps its own."""
    visit = Visit(request)
    await visit.form()

    def work(registry: Registry, project_id: int, model: Model, version: ModelVersion) -> str:
        told = version.version
        versions.delete_version(registry, project_id, model.name, str(version.id))
        return told

    told = await _change(visit, work, adds=False)
    url = visit.links.model(visit.project_path, visit.number("model"), tab="versions")
    return visit.redirect(url, f"Version {told} has been deleted")


def _url(visit: Visit, version_id: int, rest: str = "", **query: object) -> str:
    return visit.links.version(visit.project_path, visit.number("model"), version_id, rest, **query)


def _no_source(_text: str) -> SourceUri | None:
    """A version that is made on a page has no source."""
    return None


async def _change(
    visit: Visit, work: Callable[[Registry, int, Model, ModelVersion], str | None], *, adds: bool = True
) -> str:
    """Change the version of the path, in one transaction; the sentence that `work` tells."""

    def changing(registry: Registry, _caller: Identity, project_id: int) -> str:
        model, version = overviews.version_by_id(registry, project_id, visit.number("model"), visit.number("version"))
        return work(registry, project_id, model, version) or ""

    return await visit.change_in_project(changing, adds=adds)


async def _mlmodel(visit: Visit) -> Shown | None:
    """The version's MLmodel, where it has one that can be read; `look` asks whether the viewer may see it."""
    version_id = visit.number("version")
    name = await visit.find(lambda registry, _caller: registry.folders.ending(version_id, "MLmodel"))
    found = await look(visit, name) if name is not None else None
    return found if found is not None and isinstance(found.preview.found, MLmodel) else None


def _use(
    visit: Visit, registry: Registry, project: InProject, model: Model, version: ModelVersion
) -> list[tuple[str, str]]:
    first = folders.first(registry, version.id)
    return snippets.use(
        visit.links,
        snippets.Used(project, model, version, first, Namer(registry).id_of(project.facts, model)),
    )


async def _new(visit: Visit, form: Form, error: str = "", status: int = 200) -> Response:
    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path, Action.WRITE)
        model = overviews.model_by_id(registry, found.id, visit.number("model"))
        highest = registry.overview.highest_of([model.id]).get(model.id)
        draft = draft_of(form, "")
        values = {"model": model, "version": None, "highest": highest, "draft": draft, "error": error, "form": form}
        crumbs = [
            ("Models", visit.links.models(found.path)),
            (model.name, visit.links.model(found.path, model.id)),
            ("New version", ""),
        ]
        return View(["New version", model.name], values, found, crumbs, "models")

    return await visit.show("versions/form.html", view, status=status)


async def _edit(visit: Visit, form: Form | None, error: str = "", status: int = 200) -> Response:
    def view(registry: Registry, caller: Identity) -> View:
        found, model, version = opened(visit, registry, caller, Action.WRITE)
        draft = draft_of(form, version.description) if form is not None else Draft.of(version.description)
        values = {"model": model, "version": version, "draft": draft, "error": error, "form": form}
        crumbs = [*crumbs_of(visit, found, model, version, link=True), ("Edit", "")]
        return View(["Edit", version.version, model.name], values, found, crumbs, "models")

    return await visit.show("versions/form.html", view, status=status)
