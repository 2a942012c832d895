"""The links that MLflow's client prints: they lead to the pages of what they name."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import DoesNotExist, ParameterError
from modelyard.registry.repository import Registry
from modelyard.routes.pages.frame import InProject, View, enter
from modelyard.routes.pages.links import Links
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.models.logged_models import get_logged_model
from modelyard.services.models.versions import find_model, named_version
from modelyard.services.tracking.experiments import find_experiment
from modelyard.services.tracking.runs import find_run
from modelyard.terms.paths import API, MLFLOW
from modelyard.wire.paths import decode_segment, parse_project

subject = Subject()

TABS = {"artifacts": "files", "model-metrics": "metrics", "system-metrics": "metrics"}  # of MLflow's page of a run


@subject.get(f"{API}/projects/{{id}}{MLFLOW}/")
@subject.get(f"{API}/projects/{{id}}{MLFLOW}")
async def lead_on(request: Request) -> Response:
    """`#/experiments/1/runs/<run id>`, which a server does not see: a script goes on, or whoever reads, by a link."""
    visit = Visit(request)
    ref = parse_project(request.path_params["id"])

    def view(registry: Registry, caller: Identity) -> View:
        found = enter(registry, caller, ref)
        return View(["MLflow"], {"there": visit.links.project(found.path, "/-/ml")}, found, active="experiments")

    return await visit.show("experiments/mlflow.html", view)


@subject.get("/{project:project}/-/ml/mlflow/{path:path}")
async def find(request: Request) -> Response:
    """303 to the page of what a fragment of MLflow's names: `experiments/1/runs/<run id>`, `models/<name>`."""
    visit = Visit(request)
    try:
        parts = [decode_segment(part) for part in str(request.path_params["path"]).split("/")]
    except ValueError as error:
        raise ParameterError("path is invalid") from error

    def work(registry: Registry, caller: Identity) -> str:
        return _page_of(registry, enter(registry, caller, visit.project_path), visit.links, parts)

    return visit.redirect(await visit.find(work))


def _page_of(registry: Registry, project: InProject, links: Links, parts: Sequence[str]) -> str:
    """The page of what the parts of a fragment name. Raises DoesNotExist."""
    match parts:
        case ["experiments", _, "runs", run, *rest] | ["runs", run, *rest] if run:
            tab = TABS.get(rest[0]) if rest else None
            page = links.run(project.path, find_run(registry, project.id, run).iid, tab=tab)
        case ["experiments", _, "models", model, *_]:
            page = _page_of_logged(registry, project, links, model)
        case ["experiments", experiment, *_] if experiment:
            page = links.experiment(project.path, find_experiment(registry, project.id, experiment).iid)
        case ["models", name, "versions", version, *_]:
            found = named_version(registry, project.id, name, version)
            page = links.version(project.path, found.model_id, found.id)
        case ["models", name, *_] if name:
            page = links.model(project.path, find_model(registry, project.id, name).id)
        case ["models", *_]:
            page = links.models(project.path)
        case ["experiments", *_]:
            page = links.experiments(project.path)
        case _:
            raise DoesNotExist("The link is none of a run, an experiment or a model")
    return page


def _page_of_logged(registry: Registry, project: InProject, links: Links, model_id: str) -> str:
    """The page of the run that logged a model, or of its experiment."""
    logged = get_logged_model(registry, project.id, model_id)
    run = registry.runs.by_eid(project.id, logged.model.source_run_id)
    if run is None:
        return links.experiment(project.path, logged.experiment_iid)
    return links.run(project.path, run.iid)
