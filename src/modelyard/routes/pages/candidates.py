"""The page of a run: what it is, its metrics as curves, parameters, tags, files and children."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import ApiError
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate
from modelyard.routes.pages.forms import Form, sentence
from modelyard.routes.pages.frame import View, enter
from modelyard.routes.pages.links import RUNS
from modelyard.routes.pages.run_query import folded, read_wanted, written
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.files import artifacts
from modelyard.services.tracking import run_details, run_tables
from modelyard.services.tracking.run_details import SHOWN
from modelyard.services.tracking.run_logging import metric_history
from modelyard.terms.filters import Entity
from modelyard.terms.paths import CANDIDATE
from modelyard.wire.paths import parse_file_name

subject = Subject()

ONE = f"/{{project:project}}{RUNS}/{{run:number}}"
TABS = ("overview", "metrics", "params", "tags", "files", "children")
TEMPLATES = {"params": "texts", "tags": "texts"}  # of other names than their tab
KINDS = {"metrics": Entity.METRIC, "params": Entity.PARAM, "tags": Entity.TAG}
NOTE = "mlflow.note.content"
POINTS = 100  # of a metric in a table

Values = dict[str, object]


@subject.get(ONE)
async def show(request: Request) -> Response:
    """A run, by `tab`."""
    return await shown(Visit(request))


async def shown(visit: Visit, failed: ApiError | None = None, form: Form | None = None) -> Response:
    """The page of a run, perhaps with what was wrong with a change, and what was typed for it."""
    tab = visit.query.get("tab", TABS[0])
    tab = tab if tab in TABS else TABS[0]
    if failed is not None and tab not in ("overview", "tags"):
        tab = "overview"

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, visit.project_path)
        run = run_details.find_candidate(registry, found.id, visit.number("run"))
        details = run_details.describe(registry, run)
        values: Values = {
            "details": details,
            "run": run,
            "tab": tab,
            "error": sentence(failed) if failed else "",
            "form": form or Form([]),
            "path": visit.links.run(found.path, run.iid),
        }
        values |= _PARTS[tab](visit, registry, run)
        experiment = details.experiment
        crumbs = [
            ("Experiments", visit.links.experiments(found.path)),
            (experiment.name, visit.links.experiment(found.path, experiment.iid)),
            (run.name, ""),
        ]
        return View([run.name, experiment.name], values, found, crumbs, "experiments")

    return await visit.show(f"runs/{TEMPLATES.get(tab, tab)}.html", view, status=failed.status if failed else 200)


def mark_of(name: str, note: str) -> str:
    """Tells what was there when somebody began to edit it."""
    return sha256(f"{name}\0{note}".encode()).hexdigest()[:16]


def _overview(_visit: Visit, registry: Registry, run: Candidate) -> Values:
    listed = {name: run_details.list_logged(registry, run, kind, limit=SHOWN) for name, kind in KINDS.items()}
    note = registry.run_tables.text(Entity.TAG, run.id, NOTE)
    return listed | {
        "note": note or "",
        "base": mark_of(run.name, note or ""),
        "datasets": run_details.datasets(registry, run),
        "models": run_details.models(registry, run),
    }


def _logged(visit: Visit, registry: Registry, run: Candidate, kind: str) -> Values:
    """A page of keys, or one of them whole."""
    key, search = visit.query.get("key", ""), visit.query.get("search", "").strip()
    if key and kind == "metrics":
        values, following = metric_history(
            registry, run.project_id, run.eid, key, visit.query.get("after") or None, POINTS
        )
        return {"key": key, "points": values, "following": following, "first": "after" not in visit.query}
    if key:
        return {"key": key, "text": run_details.whole_text(registry, run, KINDS[kind], key)}
    after = visit.query.get("after", "")
    listed = run_details.list_logged(registry, run, KINDS[kind], after=after, search=search)
    return {"key": "", "listed": listed, "search": search, "first": not after}


def _files(visit: Visit, registry: Registry, run: Candidate) -> Values:
    directory = parse_file_name(visit.links.named(visit.query["path"])) if visit.query.get("path") else ""
    after = visit.query.get("after") or None
    _, children, following = artifacts.list_run_directory(registry, run.project_id, run.eid, directory, after)
    owner = f"{CANDIDATE}{run.iid}" if run.model_version_id is None else str(run.model_version_id)
    above = directory.split("/") if directory else []
    steps = [(name, "/".join(above[: number + 1])) for number, name in enumerate(above)]
    return {
        "directory": directory,
        "steps": steps,
        "files": children,
        "own": run.model_version_id is None,  # those of a version's run are the version's
        "following": following,
        "url_of": lambda name: visit.links.file_api(
            run.project_id, owner, f"{directory}/{name}" if directory else name
        ),
    }


def _children(visit: Visit, registry: Registry, run: Candidate) -> Values:
    experiment = registry.experiments.of(run)
    wanted = read_wanted(visit.request, {})
    table = run_tables.show_table(registry, experiment, run_tables.children_of(wanted, run.iid))

    def url(**changed: object) -> str:
        return f"{written(wanted, **changed)}&tab=children"

    return {"table": table, "wanted": wanted, "url": url, "fold": folded, "pin": None}


_PARTS: dict[str, Callable[[Visit, Registry, Candidate], Values]] = {
    "overview": _overview,
    "files": _files,
    "children": _children,
    **{kind: partial(_logged, kind=kind) for kind in KINDS},
}
