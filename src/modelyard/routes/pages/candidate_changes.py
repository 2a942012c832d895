"""What is changed of a run: its name, its tags, whether it is deleted, and that it becomes a version."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.errors import ApiError, InvalidValue
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate
from modelyard.routes.pages.candidates import NOTE, ONE, mark_of, shown
from modelyard.routes.pages.forms import Form
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.models.new_versions import VERSION_TAG, NewVersion, create_version
from modelyard.services.people.authentication import open_project
from modelyard.services.tracking import runs
from modelyard.services.tracking.run_details import find_candidate
from modelyard.services.tracking.run_logging import Batch, delete_tag, log_batch
from modelyard.services.tracking.runs import RunChange
from modelyard.terms.paths import ProjectRef

subject = Subject()

Change = Callable[[Registry, Candidate, Form], None]


def _changing(path: str, notice: str, *, tab: str | None = None, adds: bool = True) -> Callable[[Change], Change]:
    """Makes what changes a run what a form at `path` is sent to: the page of the run follows with a notice, or with why
    there was no change, and what was typed.
    """

    def add(change: Change) -> Change:
        async def changed(request: Request) -> Response:
            visit = Visit(request)
            form = await visit.form()

            def work(registry: Registry, caller: Identity, ref: ProjectRef) -> None:
                project, _ = open_project(registry, caller, ref, Action.WRITE)
                change(registry, find_candidate(registry, project.id, visit.number("run")), form)

            try:
                await visit.change_in_project(work, adds=adds)
            except ApiError as error:
                return await _refused(visit, error, form)
            return visit.redirect(visit.links.run(visit.project_path, visit.number("run"), tab=tab), notice)

        subject.post(ONE + path)(changed)
        return change

    return add


@_changing("/edit", "The run has been changed")
def edit(registry: Registry, run: Candidate, form: Form) -> None:
    """Another name, another description; of what was there when they were shown (`base`), if that is told."""
    name, note = form.text("name"), form.get("description", "").strip()
    kept = registry.run_data.tags([run.id]).get(run.id, {}).get(NOTE, "")
    if form.get("base", "") not in ("", mark_of(run.name, kept)):
        raise InvalidValue(
            "Somebody else has changed the run meanwhile. What it says now is above; save again to replace"
        )
    runs.update_run(registry, run.project_id, run.eid, RunChange(name=name or None))
    if note:
        log_batch(registry, run.project_id, run.eid, Batch(tags={NOTE: note}))
    elif kept:
        delete_tag(registry, run.project_id, run.eid, NOTE)


@_changing("/tags", "The tag has been set", tab="tags")
def set_tag(registry: Registry, run: Candidate, form: Form) -> None:
    """A tag, new or with another value."""
    log_batch(registry, run.project_id, run.eid, Batch(tags={form.text("key"): form.get("value", "")}))


@_changing("/tags/delete", "The tag has been removed", tab="tags", adds=False)
def remove_tag(registry: Registry, run: Candidate, form: Form) -> None:
    """No tag of that key any more."""
    delete_tag(registry, run.project_id, run.eid, form.get("key", ""))


@_changing("/delete", "The run is deleted. It can be restored here.", adds=False)
def delete(registry: Registry, run: Candidate, _form: Form) -> None:
    """Mark the run as deleted."""
    runs.delete_run(registry, run.project_id, run.eid)


@_changing("/restore", "The run is restored", adds=False)
def restore(registry: Registry, run: Candidate, _form: Form) -> None:
    """Take the deletion back."""
    runs.restore_run(registry, run.project_id, run.eid)


@subject.post(ONE + "/promote")
async def promote(request: Request) -> Response:
    """The run as a version of a registered model, with its files."""
    visit = Visit(request)
    form = await visit.form()
    quota, semver = request.app.state.settings.project_quota, form.text("version")

    def work(registry: Registry, caller: Identity, ref: ProjectRef) -> tuple[int, int]:
        project, _ = open_project(registry, caller, ref, Action.WRITE)
        run = find_candidate(registry, project.id, visit.number("run"))
        tags = {VERSION_TAG: semver} if semver else {}
        new = NewVersion(form.text("model"), run_id=run.eid, tags=tags)
        made = create_version(registry, caller, project.id, new, lambda _source: None, quota)
        return made.version.model_id, made.version.id

    try:
        model_id, version_id = await visit.change_in_project(work)
    except ApiError as error:
        return await _refused(visit, error, form)
    return visit.redirect(visit.links.version(visit.project_path, model_id, version_id), "The run is a version now")


async def _refused(visit: Visit, error: ApiError, form: Form) -> Response:
    """The page of the run with a refusal of what was typed; of any other kind, the refusal's own page."""
    if error.status not in (400, 404):
        raise error
    return await shown(visit, error, form)
