"""The page of an experiment: its runs in a table, their curves, and what is done to many of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.errors import ApiError, InvalidValue, ParameterError
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Experiment
from modelyard.routes.pages.experiments import NOTE, ONE
from modelyard.routes.pages.forms import Form, sentence
from modelyard.routes.pages.frame import View, enter
from modelyard.routes.pages.run_query import (
    SAVED,
    VIEW_NAMES,
    folded,
    pairs_of,
    pinned,
    read_wanted,
    remembered,
    saved_wanted,
    written,
)
from modelyard.routes.pages.snippets import first_run
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.models import overviews
from modelyard.services.people.authentication import open_project
from modelyard.services.tracking import experiments, run_changes, run_columns, run_comparison, run_tables
from modelyard.services.tracking.curves import MAX_CURVES, OUTLINE
from modelyard.services.tracking.run_columns import Column, Kind
from modelyard.services.tracking.run_details import LIVE
from modelyard.services.tracking.run_tables import Table
from modelyard.terms.filters import Entity, Malformed
from modelyard.terms.paths import NOBODY, ProjectRef, parse_id

subject = Subject()

TABS = ("runs", "charts")
FIRST_CHARTS, MAX_CHARTS = 4, 20
OFFERED = 30  # keys of each kind among which columns are chosen at once; all others by their names
DONE = {"delete": "deleted", "restore": "restored", "tag": "tagged"}


@subject.get(ONE)
async def show(request: Request) -> Response:
    """An experiment, by `tab`."""
    return await shown(Visit(request))


async def shown(visit: Visit, failed: ApiError | None = None, typed: Form | None = None) -> Response:
    """The page of an experiment, perhaps with what was wrong with a change, and what was typed for it."""
    request, iid = visit.request, visit.number("experiment")
    asked = read_wanted(request, visit.cookies)
    path = visit.links.experiment(visit.project_path, iid)
    cookie = remembered(request, asked, visit.cookies, path, secure=visit.secure)
    tab = visit.query.get("tab", "runs") if visit.query.get("tab") in TABS else "runs"
    status = [failed.status] if failed else [200]

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path)
        one = experiments.get_experiment(registry, found.id, str(iid))
        saved = {key.removeprefix(SAVED): value for key, value in one.tags.items() if key.startswith(SAVED)}
        named = visit.query.get("view", "")
        wanted = saved_wanted(saved[named], asked.after) if named in saved else asked
        model = registry.experiments.model_of(one.experiment.id)
        first = wanted.after is None and wanted.parent is None and not wanted.filter
        values: dict[str, object] = {
            "experiment": one.experiment,
            "note": one.tags.get(NOTE, ""),
            "tags": {key: value for key, value in one.tags.items() if key != NOTE and not key.startswith(SAVED)},
            "saved": sorted(saved),
            "named": named if named in saved else "",
            "model": model,
            "elsewhere": overviews.runs_elsewhere(registry, model) if model and tab == "runs" and first else None,
            "tab": tab,
            "wanted": wanted,
            "error": sentence(failed) if failed else "",
            "fault": "",
            "fault_at": None,
            "most": run_tables.MOST_COUNTED,
            "most_compared": run_comparison.MAX_RUNS,
            "path": path,
            "view_name": VIEW_NAMES[wanted.view],
            "pairs": pairs_of(wanted),
            "fold": folded,
            "pin": pinned,
            "typed": typed or Form([]),
            "snippets": first_run(visit.links, found, one.experiment.name),
        }
        table = Table([], [], more=False, count=0)
        try:
            table = run_tables.show_table(registry, one.experiment, wanted)
        except InvalidValue as error:
            status[0] = error.status
            values |= {"fault": sentence(error), "fault_at": error.at if isinstance(error, Malformed) else None}
        live = any(row.run.status in LIVE for row in table.rows)
        values |= {"table": table, "url": partial(written, wanted), "live": live}
        values |= _charts(registry, visit, table) if tab == "charts" else _offered(registry, one.experiment, table)
        crumbs = [("Experiments", visit.links.experiments(found.path)), (one.experiment.name, "")]
        return View([one.experiment.name], values, found, crumbs, "experiments")

    headers = {"Set-Cookie": cookie} if cookie else {}
    response = await visit.show(f"experiments/{tab}.html", view, headers=headers)
    response.status_code = status[0]
    return response


@subject.post(ONE + "/runs")
async def change_many(request: Request) -> Response:
    """Delete, restore or tag the runs that are chosen, or all that the table of the URL has on all its pages."""
    visit = Visit(request)
    form = await visit.form()
    try:
        done, all_of_them = await _change_many(visit, form)
    except ApiError as error:
        if error.status not in (400, 404):
            raise
        return await shown(visit, error, form)
    verb = DONE[form.text("action")]
    told = f"{_runs(done)} {'has' if done == 1 else 'have'} been {verb}"
    if done < all_of_them:
        told += f"; {all_of_them - done} stay as they were"
    if verb == "deleted" and done:
        told += ". They can be restored among deleted runs."
    wanted = replace(read_wanted(request, visit.cookies), after=None)
    path = visit.links.experiment(visit.project_path, visit.number("experiment"))
    return visit.redirect(path + written(wanted), told)


async def _change_many(visit: Visit, form: Form) -> tuple[int, int]:
    """How many runs were changed, and how many were meant. Those of one portion after the other: a change of thousands
    would keep all others from writing.
    """
    action, iid = form.text("action"), str(visit.number("experiment"))
    ids = await visit.find(partial(_meant, visit, form))
    if action not in DONE:
        raise ParameterError("action does not have a valid value")
    if not ids:
        raise InvalidValue("No run is selected")
    done = 0
    for portion in run_changes.in_portions(ids):

        def work(registry: Registry, caller: Identity, ref: ProjectRef, portion: Sequence[int] = portion) -> int:
            project, _ = open_project(registry, caller, ref, Action.WRITE)
            experiment = experiments.find_experiment(registry, project.id, iid)
            mine = run_changes.of_experiment(registry, experiment, portion)
            if action == "delete":
                return run_changes.delete_runs(registry, mine)
            if action == "restore":
                return run_changes.restore_runs(registry, experiment, mine)
            return run_changes.tag_runs(registry, mine, form.text("key"), form.get("value", ""))

        done += await visit.change_in_project(work, adds=action == "tag")
    return done, len(ids)


def _meant(visit: Visit, form: Form, registry: Registry, caller: Identity) -> list[int]:
    found = enter(registry, caller, visit.project_path, Action.WRITE)
    experiment = experiments.find_experiment(registry, found.id, str(visit.number("experiment")))
    if form.text("which") == "matching":
        return run_tables.matching_ids(registry, experiment, read_wanted(visit.request, visit.cookies))
    iids = [iid for iid in map(parse_id, form.all("runs")) if iid != NOBODY]
    return [run.id for run in registry.run_tables.by_iids(found.id, iids)]


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


def _offered(registry: Registry, experiment: Experiment, table: Table) -> dict[str, object]:
    """The keys among which columns are chosen: of each kind those that are shown, and the first others."""
    offered, more = {}, {}
    for kind, entity in ((Kind.METRIC, Entity.METRIC), (Kind.PARAM, Entity.PARAM), (Kind.TAG, Entity.TAG)):
        known = registry.run_tables.keys(experiment.id, entity, "", OFFERED + 1)
        more[kind.value] = len(known) > OFFERED
        shown = [column for column in table.columns if column.kind is kind]
        others = [Column(kind, key) for key in known[:OFFERED]]
        offered[kind.value] = [*shown, *(column for column in others if column not in shown)]
    derived = [column for column in table.columns if column.kind in run_columns.DERIVED]
    return {"offered": offered, "derived": derived, "more_keys": more}


def _charts(registry: Registry, visit: Visit, table: Table) -> dict[str, object]:
    """Which metrics of which runs are drawn."""
    asked = visit.request.query_params.getlist("metric")[:MAX_CHARTS]
    named = [column.name for column in run_columns.parse_columns([f"{Kind.METRIC}.{name}" for name in asked])]
    if not named:
        named = list(dict.fromkeys(column.name for column in table.columns if column.numeric))[:FIRST_CHARTS]
    runs = [row.run for row in table.rows][:MAX_CURVES]
    ids, columns = [run.id for run in runs], [Column(Kind.METRIC, name) for name in named]
    cells = run_columns.read_cells(registry, ids, columns)
    lines = registry.curves.outlines(ids, named, OUTLINE)
    charts = [
        (name, [(run, cells[run.id][number], lines.get((run.id, name), [])) for run in runs])
        for number, name in enumerate(named)
    ]
    return {"charts": charts, "drawn": len(runs), "asked": asked}
