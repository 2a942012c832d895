"""Experiments of a project: a tree by the `/` in their names, and how one is made, changed, deleted and restored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.registry.repository import Registry
from modelyard.registry.search.runs import View as Lifecycle
from modelyard.routes.pages.forms import Form
from modelyard.routes.pages.frame import View, enter
from modelyard.routes.pages.links import EXPERIMENTS
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.people.authentication import open_project
from modelyard.services.tracking import experiments
from modelyard.services.tracking.experiments import ExperimentView
from modelyard.terms.paths import ProjectRef

subject = Subject()

LIST = f"/{{project:project}}{EXPERIMENTS}"
ONE = LIST + "/{experiment:number}"
ROWS = 100
MAX_SEARCH = 100  # characters
NOTE = "mlflow.note.content"  # the tag in which MLflow keeps a description
VIEWS = {"": Lifecycle.ACTIVE_ONLY, "deleted": Lifecycle.DELETED_ONLY, "all": Lifecycle.ALL}


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of the tree: a folder, or an experiment (`view`) in it."""

    label: str
    depth: int
    view: ExperimentView | None = None
    runs: int = 0


@subject.get(LIST)
async def show_list(request: Request) -> Response:
    """A page of the tree, by name."""
    visit = Visit(request)
    search, lifecycle = visit.query.get("search", "").strip()[:MAX_SEARCH], visit.query.get("view", "")
    text = f"name ILIKE '%{search.replace(chr(39), chr(39) * 2)}%'" if search else None
    wanted = experiments.Search(
        text, ["name ASC"], VIEWS.get(lifecycle, Lifecycle.ACTIVE_ONLY), ROWS, visit.query.get("after") or None
    )

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path)
        shown, following = experiments.search_experiments(registry, found.id, wanted)
        counts = experiments.count_runs(registry, shown)
        values = {
            "tree": tree_of(shown, counts),
            "following": following,
            "first": not wanted.page_token,
            "search": search,
            "view": lifecycle if lifecycle in VIEWS else "",
            "most": experiments.MOST_RUNS,
        }
        return View(["Experiments"], values, found, [("Experiments", "")], "experiments")

    return await visit.show("experiments/list.html", view)


@subject.get(LIST + "/new")
async def ask_for_new(request: Request) -> Response:
    """The form for a new experiment."""
    visit = Visit(request)
    await visit.identify()
    return await _form(visit, Form([]))


@subject.post(LIST + "/new")
async def create(request: Request) -> Response:
    """A new experiment."""
    visit = Visit(request)
    form = await visit.form(again=_form)
    note = form.get("description", "").strip()

    def work(registry: Registry, caller: Identity, ref: ProjectRef) -> int:
        project, _ = open_project(registry, caller, ref, Action.WRITE)
        tags = {NOTE: note} if note else {}
        return experiments.create_experiment(registry, caller, project.id, form.text("name"), tags).iid

    iid = await visit.change_in_project(work)
    return visit.redirect(visit.links.experiment(visit.project_path, iid), "The experiment has been created")


@subject.get(ONE + "/edit")
async def ask_for_changes(request: Request) -> Response:
    """The form with an experiment's name and description."""
    visit = Visit(request)
    await visit.identify()
    return await _form(visit, None)


@subject.post(ONE + "/edit")
async def change(request: Request) -> Response:
    """Another name, another description."""
    visit, iid = Visit(request), str(request.path_params["experiment"])
    form = await visit.form(again=_form)
    note = form.get("description", "").strip()

    def work(registry: Registry, caller: Identity, ref: ProjectRef) -> None:
        project, _ = open_project(registry, caller, ref, Action.WRITE)
        kept = experiments.get_experiment(registry, project.id, iid)
        if form.text("name") != kept.experiment.name:
            experiments.rename_experiment(registry, project.id, iid, form.text("name"))
        if note:
            experiments.set_tag(registry, project.id, iid, NOTE, note)
        elif NOTE in kept.tags:
            experiments.delete_tag(registry, project.id, iid, NOTE)

    await visit.change_in_project(work)
    return visit.redirect(visit.links.experiment(visit.project_path, int(iid)), "The experiment has been changed")


@subject.post(ONE + "/delete")
async def delete(request: Request) -> Response:
    """Mark an experiment and its runs as deleted."""
    return await _moved(Visit(request), deleted=True)


@subject.post(ONE + "/restore")
async def restore(request: Request) -> Response:
    """Take a deletion back."""
    return await _moved(Visit(request), deleted=False)


async def _moved(visit: Visit, *, deleted: bool) -> Response:
    await visit.form()
    iid = visit.number("experiment")
    do = experiments.delete_experiment if deleted else experiments.restore_experiment

    def work(registry: Registry, caller: Identity, ref: ProjectRef) -> None:
        project, _ = open_project(registry, caller, ref, Action.WRITE)
        do(registry, project.id, str(iid))

    await visit.change_in_project(work, adds=False)
    if deleted:
        told = "The experiment and its runs are deleted. They can be restored among deleted experiments."
        return visit.redirect(visit.links.experiments(visit.project_path), told)
    return visit.redirect(visit.links.experiment(visit.project_path, iid), "The experiment and its runs are restored")


async def _form(visit: Visit, form: Form | None, error: str = "", status: int = 200) -> Response:
    """The form for a new experiment, or for the one of the path."""
    iid: int | None = visit.request.path_params.get("experiment")

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path, Action.WRITE)
        filled, crumbs = form, [("Experiments", visit.links.experiments(found.path))]
        if iid is not None:
            shown = experiments.get_experiment(registry, found.id, str(iid))
            crumbs.append((shown.experiment.name, visit.links.experiment(found.path, iid)))
            filled = form or Form([("name", shown.experiment.name), ("description", shown.tags.get(NOTE, ""))])
        title = "New experiment" if iid is None else "Edit experiment"
        values = {"form": filled, "error": error, "iid": iid, "heading": title}
        return View([title], values, found, [*crumbs, (title, "")], "experiments")

    return await visit.show("experiments/form.html", view, status=status)


def tree_of(views: Sequence[ExperimentView], counts: dict[int, int]) -> list[Branch]:
    """Experiments by name as lines of a tree, each folder before what is in it."""
    lines: list[Branch] = []
    above: list[str] = []
    for view in views:
        *folders, label = view.experiment.name.split("/")
        same = 0
        while same < min(len(folders), len(above)) and folders[same] == above[same]:
            same += 1
        lines += [Branch(folder, depth) for depth, folder in enumerate(folders) if depth >= same]
        above = folders
        lines.append(Branch(label or view.experiment.name, len(folders), view, counts.get(view.experiment.id, 0)))
    return lines
