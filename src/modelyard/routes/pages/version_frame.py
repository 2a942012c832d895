"""What stands around all pages of a version: its addresses, the way to it, its tabs."""

from __future__ import annotations

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Model, ModelVersion
from modelyard.routes.pages.frame import InProject, enter
from modelyard.routes.pages.models import MODEL
from modelyard.routes.pages.visit import Visit
from modelyard.services.models import overviews
from modelyard.services.models.stages import Stage

VERSIONS = f"{MODEL}/versions"
VERSION = VERSIONS + "/{version:number}"
TABS = {"card": "Card", "files": "Files", "metrics": "Metrics", "use": "Use"}


def opened(
    visit: Visit, registry: Registry, caller: Identity, action: Action = Action.READ
) -> tuple[InProject, Model, ModelVersion]:
    """The project, model and version of the path. Raises what `policy.require` raises, NotFound."""
    found = enter(registry, caller, visit.project_path, action)
    model, version = overviews.version_by_id(registry, found.id, visit.number("model"), visit.number("version"))
    return found, model, version


def version_values(details: overviews.VersionDetails, tab: str) -> dict[str, object]:
    """What all tabs of a version show."""
    return {
        "details": details,
        "view": details.view,
        "version": details.view.version,
        "model": details.model,
        "tab": tab if tab in TABS else "card",
        "tabs": TABS,
        "stages": list(Stage),
    }


def crumbs_of(
    visit: Visit, project: InProject, model: Model, version: ModelVersion, *, link: bool = False
) -> list[tuple[str, str]]:
    """The way to a version."""
    links, path = visit.links, project.path
    return [
        ("Models", links.models(path)),
        (model.name, links.model(path, model.id)),
        (version.version, links.version(path, model.id, version.id) if link else ""),
    ]
