"""Models: the list of a project's, each with its card and versions, a new one, and what is changed of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.errors import ApiError, InvalidValue
from modelyard.registry.repository import Registry
from modelyard.routes.pages import snippets
from modelyard.routes.pages.cards import Draft, changed_meanwhile, draft_of, previewed
from modelyard.routes.pages.forms import Form, sentence
from modelyard.routes.pages.frame import InProject, View, enter
from modelyard.routes.pages.links import MODELS
from modelyard.routes.pages.markdown import card
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.models import differing, overviews, registered
from modelyard.services.tracking.experiments import Search
from modelyard.terms.paths import parse_id

subject = Subject()

LIST = f"/{{project:project}}{MODELS}"
MODEL = LIST + "/{model:number}"
ROWS = 30
SORTS = {
    "name": ("name ASC", "Name"),
    "-updated": ("last_updated_timestamp DESC", "Last updated"),
    "-created": ("creation_timestamp DESC", "Last created"),
}
MAX_CHANGES = 100  # of files, that a comparison shows
_EXPRESSION = re.compile(r"[=<>]|\b(like|ilike|in|is)\b", re.IGNORECASE)


@subject.get(LIST)
async def list_models(request: Request) -> Response:
    """The models of a project, filtered by a word or in MLflow's language."""
    visit = Visit(request)
    text, sort = visit.query.get("filter", "").strip(), visit.query.get("sort", "name")
    order = SORTS.get(sort, SORTS["name"])[0]

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path)
        search = Search(_filter(text), [order], limit=ROWS, page_token=visit.query.get("page"))
        error = ""
        try:
            rows, following = overviews.model_rows(registry, found.id, search)
        except InvalidValue as refused:
            rows, following, error = [], None, sentence(refused)
        values = {
            "rows": rows,
            "following": following,
            "filter": text,
            "sort": sort,
            "sorts": {word: label for word, (_order, label) in SORTS.items()},
            "query": visit.query,
            "error": error,
            "begin": snippets.begin(visit.links, found),
        }
        return View(["Models"], values, found, [("Models", "")], "models")

    return await visit.show("models/list.html", view)


@subject.get(f"{LIST}/new")
async def ask_for_new(request: Request) -> Response:
    """The form for a new model."""
    visit = Visit(request)
    await visit.identify()
    return await _form(visit, Form([]))


@subject.post(f"{LIST}/new")
async def create(request: Request) -> Response:
    """A new model."""
    visit = Visit(request)
    form = await visit.form(again=_form)
    if "preview" in form:
        return await _form(visit, form)
    name, text = form.text("name"), form.get("description", "")

    def work(registry: Registry, caller: Identity, project_id: int) -> int:
        return registered.create_model(registry, caller, project_id, name, text, {}).model.id

    made = await visit.change_in_project(work)
    return visit.redirect(visit.links.model(visit.project_path, made), "The model has been created")


@subject.post(f"{LIST}/preview_markdown")
async def preview(request: Request) -> Response:
    """A card as it will look, for the form of a model or a version."""
    return await previewed(Visit(request))


@subject.get(MODEL)
async def show(request: Request) -> Response:
    """A model: its card, or its versions; its runs are those of an experiment."""
    visit = Visit(request)
    if visit.query.get("tab") == "runs":
        return visit.redirect(visit.links.experiment(visit.project_path, await visit.find(partial(_runs, visit))))
    return await shown(visit)


def _runs(visit: Visit, registry: Registry, caller: Identity) -> int:
    found = enter(registry, caller, visit.project_path)
    return registry.experiments.default_of(overviews.model_by_id(registry, found.id, visit.number("model"))).iid


async def shown(visit: Visit, form: Form | None = None, error: ApiError | None = None) -> Response:
    """The page of a model; with why a form on it was refused, and what was typed."""
    tab = "versions" if visit.query.get("tab") == "versions" else "card"

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path)
        model = overviews.model_by_id(registry, found.id, visit.number("model"))
        told = registered.get_model(registry, found.id, model.name)
        latest = registry.overview.highest_of([model.id]).get(model.id)
        values: dict[str, object] = {
            "shown": told,
            "model": model,
            "form": form if form is not None else tag_form(visit, told.tags),
            "error": sentence(error) if error else "",
            "tab": tab,
            "latest": latest,
            "runs": registry.experiments.default_of(model).iid,
            "count": registry.overview.versions_of([model.id]).get(model.id, 0),
            "card": card(model.description),
            "begin": snippets.begin(visit.links, found),
        }
        if tab == "versions":
            rows, following = overviews.version_rows(registry, found.id, model, ROWS, visit.query.get("page"))
            metrics = sorted({name for row in rows for name in row.metrics})[:3]
            values |= {"rows": rows, "following": following, "metrics": metrics, "first": "page" not in visit.query}
        return View([model.name], values, found, _crumbs(visit, found, model.name), "models")

    return await visit.show("models/show.html", view, status=error.status if error else 200)


def tag_form(visit: Visit, tags: Mapping[str, str]) -> Form:
    """The form of the tag that the query names, to be changed; an empty one without any."""
    key = visit.query.get("tag", "")
    return Form([("key", key), ("value", tags[key]), ("was", tags[key])] if key in tags else [])


@subject.get(f"{MODEL}/edit")
async def ask_for_change(request: Request) -> Response:
    """The form for a model's name and card."""
    visit = Visit(request)
    await visit.identify()
    return await _form(visit, None)


@subject.post(f"{MODEL}/edit")
async def change(request: Request) -> Response:
    """Another name or card of a model."""
    visit = Visit(request)
    form = await visit.form(again=_form)
    if "preview" in form:
        return await _form(visit, form)
    name, text = form.text("name"), form.get("description", "")

    def work(registry: Registry, _caller: Identity, project_id: int) -> None:
        model = overviews.model_by_id(registry, project_id, visit.number("model"))
        changed_meanwhile(form, model.description)
        registered.update_model(registry, project_id, model.name, text)
        registered.rename_model(registry, project_id, model.name, name)

    await visit.change_in_project(work)
    return visit.redirect(visit.links.model(visit.project_path, visit.number("model")), "The model has been changed")


@subject.get(f"{MODEL}/delete")
async def ask_to_delete(request: Request) -> Response:
    """What goes with a model."""
    return await _deletion(Visit(request))


@subject.post(f"{MODEL}/delete")
async def delete(request: Request) -> Response:
    """A model's end, once its name has been typed."""
    visit = Visit(request)
    form = await visit.form(again=lambda visit, _form, error, status: _deletion(visit, error, status))

    def work(registry: Registry, _caller: Identity, project_id: int) -> str:
        model = overviews.model_by_id(registry, project_id, visit.number("model"))
        name = model.name
        if form.get("name") != name:
            raise InvalidValue("The name that was typed is not the model's")
        registered.delete_model(registry, project_id, name)
        return name

    name = await visit.change_in_project(work, adds=False)
    return visit.redirect(visit.links.models(visit.project_path), f"{name} has been deleted")


@subject.get(f"{MODEL}/compare")
async def compare(request: Request) -> Response:
    """What two versions of a model differ in; by default the highest from the one before."""
    visit = Visit(request)
    old, new = parse_id(visit.query.get("from", "")), parse_id(visit.query.get("to", ""))

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path)
        model = overviews.model_by_id(registry, found.id, visit.number("model"))
        _model, before = overviews.version_by_id(registry, found.id, model.id, old)
        _model, after = overviews.version_by_id(registry, found.id, model.id, new)
        told = differing.difference(registry, before, after)
        values = {"model": model, "before": before, "after": after, "told": told, "most": MAX_CHANGES}
        crumbs = [*_crumbs(visit, found, model.name, model.id), ("Compare", "")]
        return View([f"{before.version} and {after.version}", model.name], values, found, crumbs, "models")

    return await visit.show("models/compare.html", view)


def _filter(text: str) -> str | None:
    """What is typed as a filter in MLflow's language, or as a part of the name."""
    if not text or _EXPRESSION.search(text):
        return text or None
    quoted = text.replace("'", "''")
    return f"name ILIKE '%{quoted}%'"


def _crumbs(visit: Visit, project: InProject, name: str, model_id: int | None = None) -> list[tuple[str, str]]:
    models = ("Models", visit.links.models(project.path))
    return [models, (name, visit.links.model(project.path, model_id) if model_id is not None else "")]


async def _form(visit: Visit, form: Form | None, error: str = "", status: int = 200) -> Response:
    """The form for a new model, or for the one of the path: as it is, or as it was typed."""
    model_id = visit.request.path_params.get("model")

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path, Action.WRITE)
        model = overviews.model_by_id(registry, found.id, model_id) if model_id is not None else None
        now_there = model.description if model else ""
        draft = draft_of(form, now_there) if form is not None else Draft.of(now_there)
        name = form.text("name") if form is not None else (model.name if model else "")
        values = {"model": model, "name": name, "draft": draft, "error": error, "form": form}
        label = "Edit" if model else "New model"
        crumbs = (
            [*_crumbs(visit, found, model.name, model.id), ("Edit", "")] if model else [*_crumbs(visit, found, label)]
        )
        return View([label, *([model.name] if model else [])], values, found, crumbs, "models")

    return await visit.show("models/form.html", view, status=status)


async def _deletion(visit: Visit, error: str = "", status: int = 200) -> Response:
    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path, Action.WRITE)
        model = overviews.model_by_id(registry, found.id, visit.number("model"))
        values = {
            "model": model,
            "versions": registry.overview.versions_of([model.id]).get(model.id, 0),
            "content": registry.overview.content_of_model(model.id),
            "aliases": sorted(registry.models.aliases([model.id]).get(model.id, {})),
            "error": error,
        }
        crumbs = [*_crumbs(visit, found, model.name, model.id), ("Delete", "")]
        return View(["Delete", model.name], values, found, crumbs, "models")

    return await visit.show("models/delete.html", view, status=status)
