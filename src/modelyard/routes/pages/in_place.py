"""What is changed on the page of a model or a version itself: aliases, tags, the stage. With a script, in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import ApiError, Conflict
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Model, ModelVersion
from modelyard.routes.pages import models, versions
from modelyard.routes.pages.forms import Form
from modelyard.routes.pages.models import MODEL
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.version_frame import VERSION
from modelyard.routes.pages.visit import Visit
from modelyard.services.models import overviews, registered
from modelyard.services.models import versions as of_versions

subject = Subject()

Work = Callable[[Registry, int, Model, ModelVersion], str]
_SHOWN = frozenset({400, 404, 409})  # what is told beside the fields; other refusals have pages of their own


@dataclass(frozen=True, slots=True)
class TagChange:
    """A tag that is set or removed, as a form says. `was`: the value that it had when the form was shown."""

    key: str
    value: str
    was: str | None
    removed: bool

    @classmethod
    def of(cls, form: Form) -> TagChange:
        """What the form says."""
        return cls(form.text("key"), form.get("value", ""), form.get("was"), "remove" in form)

    def make(self, tags: Mapping[str, str], put: Callable[[str, str], object], remove: Callable[[str], object]) -> str:
        """Set or remove it, and tell so. Raises Conflict where somebody else has changed it, and what these raise."""
        current = tags.get(self.key)
        if self.was is not None and current not in {self.was, self.value}:
            done = "removed it" if current is None else "given it the value below"
            raise Conflict(f"Somebody else has {done} meanwhile. Setting the tag again replaces that")
        if self.removed:
            remove(self.key)
        else:
            put(self.key, self.value)
        return f"The tag {self.key} has been {'removed' if self.removed else 'set'}"


@subject.post(f"{MODEL}/tags")
async def tag_model(request: Request) -> Response:
    """A tag of a model, set or removed."""
    visit = Visit(request)
    form = await visit.form()
    change = TagChange.of(form)

    def work(registry: Registry, _caller: Identity, project_id: int) -> str:
        name = overviews.model_by_id(registry, project_id, visit.number("model")).name
        return change.make(
            registered.get_model(registry, project_id, name).tags,
            lambda key, value: registered.set_tag(registry, project_id, name, key, value),
            lambda key: registered.delete_tag(registry, project_id, name, key),
        )

    return await _changed(visit, form, work, adds=not change.removed)


@subject.post(f"{VERSION}/tags")
async def tag_version(request: Request) -> Response:
    """A tag of a version, set or removed."""
    visit = Visit(request)
    form = await visit.form()
    change = TagChange.of(form)

    def work(registry: Registry, project_id: int, model: Model, version: ModelVersion) -> str:
        name, number = model.name, str(version.id)
        return change.make(
            of_versions.version_views(registry, [version])[0].tags,
            lambda key, value: of_versions.set_tag(registry, project_id, name, number, key, value),
            lambda key: of_versions.delete_tag(registry, project_id, name, number, key),
        )

    return await _changed(visit, form, _of_version(visit, work), adds=not change.removed)


@subject.post(f"{VERSION}/aliases")
async def alias(request: Request) -> Response:
    """An alias of the version, set or removed; one that named another version moves here."""
    visit = Visit(request)
    form = await visit.form()
    name, removed = form.text("alias"), "remove" in form

    def work(registry: Registry, project_id: int, model: Model, version: ModelVersion) -> str:
        before = registry.models.aliases([model.id]).get(model.id, {}).get(name)
        other = registry.versions.of_model(model.id, before) if before not in {None, version.id} else None
        if not removed:
            registered.set_alias(registry, project_id, model.name, name, str(version.id))
            return f"{name} names this version now" + (f", and {other.version} no more" if other else "")
        if other is not None:
            raise Conflict(f"{name} names {other.version} meanwhile, and was left there")
        if before is not None:
            registered.delete_alias(registry, project_id, model.name, name)
        return f"The alias {name} has been removed"

    return await _changed(visit, form, _of_version(visit, work), adds=not removed)


@subject.post(f"{VERSION}/stage")
async def stage(request: Request) -> Response:
    """Another stage of the version; those that were in it may go to the archive."""
    visit = Visit(request)
    form = await visit.form()
    wanted, was, archive = form.text("stage"), form.get("was"), "archive" in form

    def work(registry: Registry, project_id: int, model: Model, version: ModelVersion) -> str:
        if was is not None and version.stage not in {was, wanted}:
            raise Conflict(
                f"Somebody else has set the stage to {version.stage} meanwhile. Setting it again replaces that"
            )
        of_versions.transition(registry, project_id, model.name, str(version.id), wanted, archive_others=archive)
        return f"The stage is {wanted} now"

    return await _changed(visit, form, _of_version(visit, work), adds=False)


def _of_version(visit: Visit, work: Work) -> Callable[[Registry, Identity, int], str]:
    def changing(registry: Registry, _caller: Identity, project_id: int) -> str:
        model, version = overviews.version_by_id(registry, project_id, visit.number("model"), visit.number("version"))
        return work(registry, project_id, model, version)

    return changing


async def _changed(visit: Visit, form: Form, work: Callable[[Registry, Identity, int], str], *, adds: bool) -> Response:
    """The page after a change, with the sentence that `work` tells; or with why there was none, and what was typed."""
    page = versions if "version" in visit.request.path_params else models
    try:
        notice = await visit.change_in_project(work, adds=adds)
    except ApiError as error:
        if error.status not in _SHOWN:
            raise
        shown: Response = await page.shown(visit, form, error)
        return shown
    return visit.redirect(visit.links.to(visit.request.scope["path"].rpartition("/")[0]), notice)
