"""Runs side by side, as rows or as columns, with their differences from one of them, and their curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.registry.repository import Registry
from modelyard.routes.pages.coordinates import coordinates
from modelyard.routes.pages.experiments import ONE
from modelyard.routes.pages.frame import View, enter
from modelyard.routes.pages.run_query import read_wanted
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.tracking import experiments, run_comparison, run_tables
from modelyard.services.tracking.curves import MAX_CURVES
from modelyard.services.tracking.run_columns import Kind
from modelyard.terms.paths import NOBODY, parse_id

subject = Subject()

FIRST_CHARTS = 4
MOST_CELLS = 1_500  # of the table; what is beyond follows on further pages


@subject.get(ONE + "/compare")
async def show(request: Request) -> Response:
    """The runs of `runs`, iids with commas between them; or the first ones of the table that the URL asks for."""
    visit = Visit(request)
    if visit.query.get("which") == "matching":
        first = await visit.find(partial(_matching, visit))
        return visit.redirect(visit.links.to(request.scope["path"]) + _query(first, {}))
    named = request.query_params.getlist("runs")
    iids = [iid for text in named for iid in map(parse_id, text.split(",")) if iid != NOBODY]
    iids = list(dict.fromkeys(iids))[: run_comparison.MAX_RUNS]
    state = {name: "1" if visit.query.get(name) == "1" else "" for name in ("all", "transpose")}
    baseline = parse_id(visit.query.get("baseline", ""))
    state["baseline"] = str(baseline) if baseline != NOBODY else ""
    at = max(parse_id(visit.query.get("at", "")), 0)
    if len(named) > 1:  # as the boxes of a table are sent
        return visit.redirect(visit.links.to(request.scope["path"]) + _query(iids, state))

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path)
        experiment = experiments.find_experiment(registry, found.id, str(visit.number("experiment")))
        compared = run_comparison.compare(
            registry,
            found.id,
            iids,
            baseline=baseline if baseline != NOBODY else None,
            everything=bool(state["all"]),
        )

        def url(**changed: object) -> str:
            return _query(iids, state | changed)

        portion = max(MOST_CELLS // len(compared.runs), 1)
        metrics = [each.column.name for each in compared.fields if each.column.kind is Kind.METRIC]
        values = {
            "compared": compared,
            "state": state,
            "baseline": baseline,
            "url": url,
            "fields": compared.fields[at : at + portion],
            "at": at,
            "portion": portion,
            "most": run_comparison.MAX_COMPARED,
            "asked": len(iids),
            "metrics": metrics[:FIRST_CHARTS],
            "drawn": list(compared.runs)[:MAX_CURVES],
            "coordinates": coordinates(compared),
            "path": visit.links.experiment(found.path, experiment.iid),
        }
        crumbs = [
            ("Experiments", visit.links.experiments(found.path)),
            (experiment.name, visit.links.experiment(found.path, experiment.iid)),
            ("Compare", ""),
        ]
        return View(["Compare runs", experiment.name], values, found, crumbs, "experiments")

    return await visit.show("runs/compare.html", view)


def _matching(visit: Visit, registry: Registry, caller: Identity) -> list[int]:
    """The first runs of a table, in its order."""
    found = enter(registry, caller, visit.project_path)
    experiment = experiments.find_experiment(registry, found.id, str(visit.number("experiment")))
    wanted = read_wanted(visit.request, visit.cookies)
    selection, _parent = run_tables.selection_of(registry, experiment, wanted)
    runs, _more = registry.run_tables.select(selection, None, run_comparison.MAX_RUNS)
    return [run.iid for run in runs]


def _query(iids: Sequence[int], state: Mapping[str, object]) -> str:
    kept = {name: str(value) for name, value in state.items() if value}
    return "?" + urlencode({"runs": ",".join(map(str, iids)), **kept}, safe=",")
