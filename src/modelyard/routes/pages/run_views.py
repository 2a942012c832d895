"""Tables of runs that are kept under a name, for all who see the experiment: its columns, filter and order.

They are tags of the experiment, so that clients of MLflow find them too, and whoever may set those may keep a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.errors import ApiError, InvalidValue
from modelyard.registry.repository import Registry
from modelyard.routes.pages.experiments import ONE
from modelyard.routes.pages.run_query import SAVED, VIEWS, pairs_of, read_wanted
from modelyard.routes.pages.run_table import shown
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.people.authentication import open_project
from modelyard.services.tracking import experiments
from modelyard.terms.paths import ProjectRef

subject = Subject()

MAX_VIEWS = 50  # of an experiment
MAX_NAME = 100  # characters
FORGET = "forget"


@subject.post(ONE + "/views")
async def keep(request: Request) -> Response:
    """Keep the table of the URL under a name, or forget the one of that name (`action=forget`)."""
    visit, iid = Visit(request), str(request.path_params["experiment"])
    form = await visit.form()
    name, forget = form.text("name"), form.get("action") == FORGET
    table = replace(read_wanted(request, visit.cookies), after=None, open=[])

    def work(registry: Registry, caller: Identity, ref: ProjectRef) -> None:
        project, _ = open_project(registry, caller, ref, Action.WRITE)
        if forget:
            experiments.delete_tag(registry, project.id, iid, SAVED + name)
            return
        _check(name, experiments.get_experiment(registry, project.id, iid).tags)
        experiments.set_tag(registry, project.id, iid, SAVED + name, urlencode(pairs_of(table)))

    try:
        await visit.change_in_project(work, adds=not forget)
    except ApiError as error:
        if error.status not in (400, 404):
            raise
        return await shown(visit, error, form)
    path = visit.links.experiment(visit.project_path, int(iid))
    if forget:
        return visit.redirect(path, "The view has been forgotten")
    return visit.redirect(f"{path}?{urlencode({'view': name})}", "The view has been kept")


def _check(name: str, tags: Mapping[str, str]) -> None:
    """Raise InvalidValue for what no view can be called, and for one too many."""
    if not 0 < len(name) <= MAX_NAME:
        raise InvalidValue(f"The name of a view must have 1 to {MAX_NAME} characters")
    if name in VIEWS:
        raise InvalidValue(f"A view cannot be called '{name}', which names a state of runs")
    if SAVED + name not in tags and sum(key.startswith(SAVED) for key in tags) >= MAX_VIEWS:
        raise InvalidValue(f"An experiment can have at most {MAX_VIEWS} views; forget one first")
