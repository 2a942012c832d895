"""Who holds the files that a page is about: a version or a run, with its place in the addresses of pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.errors import ParameterError
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Package
from modelyard.routes.pages.frame import InProject, View, enter
from modelyard.routes.pages.links import MODELS, RUNS
from modelyard.routes.pages.subject import Endpoint, Subject
from modelyard.routes.pages.version_frame import VERSION, crumbs_of, opened
from modelyard.routes.pages.visit import Visit
from modelyard.services.files.locating import Address, FileRequest
from modelyard.services.files.owners import find_owner
from modelyard.terms.paths import API, CANDIDATE, MODEL_FILES, OwnerKind, OwnerRef
from modelyard.wire.paths import parse_file_name

RUN = f"/{{project:project}}{RUNS}/{{run:number}}"


@dataclass(frozen=True, slots=True)
class Holder:
    """A version or a run that a viewer has opened."""

    project: InProject
    ref: OwnerRef
    package: Package | None
    label: str  # `churn 1.2.0`, `Run 7`
    root: str  # the URL of its page
    files: str  # that of its files
    crumbs: Sequence[tuple[str, str]]
    active: str  # the entry of the project's menu

    def view(self, title: str, values: dict[str, object]) -> View:
        """A page about its files."""
        crumbs = [*self.crumbs, (title, "")]
        return View([title, self.label], values | {"holder": self}, self.project, crumbs, self.active)


def at_both(subject: Subject, path: str, method: str = "GET") -> Callable[[Endpoint], Endpoint]:
    """A route below the page of a version, and below that of a run."""

    def add(endpoint: Endpoint) -> Endpoint:
        for root in (VERSION, RUN):
            (subject.get if method == "GET" else subject.post)(root + path)(endpoint)
        return endpoint

    return add


def owner_of(visit: Visit) -> OwnerRef:
    """Whose files the path names."""
    run = visit.request.path_params.get("run")
    return OwnerRef(OwnerKind.VERSION, visit.number("version")) if run is None else OwnerRef(OwnerKind.CANDIDATE, run)


def root_of(visit: Visit) -> str:
    """The path of the holder's page, without what proxies put before it."""
    path = visit.request.path_params
    if "run" in path:
        return f"/{visit.project_path}{RUNS}/{path['run']}"
    return f"/{visit.project_path}{MODELS}/{path['model']}/versions/{path['version']}"


def hold(registry: Registry, caller: Identity, visit: Visit, action: Action = Action.READ) -> Holder:
    """The version or run that the path names. Raises what `policy.require` raises, NotFound and DoesNotExist."""
    ref, root = owner_of(visit), visit.links.to(root_of(visit))
    if ref.kind is OwnerKind.VERSION:
        project, model, version = opened(visit, registry, caller, action)
        package = registry.packages.of_version(version.id)
        crumbs = crumbs_of(visit, project, model, version, link=True)
        return Holder(project, ref, package, f"{model.name} {version.version}", root, f"{root}/tree", crumbs, "models")
    project = enter(registry, caller, visit.project_path, action)
    package, label = find_owner(registry, project.id, ref).package, f"Run {ref.key}"
    return Holder(project, ref, package, label, root, f"{root}?tab=files", [(label, root)], "experiments")


def request_for(visit: Visit, name: str) -> FileRequest:
    """The request for a file of the holder, as the viewer's."""
    return FileRequest.by(visit.credential, Address(visit.project_path, owner_of(visit), name))


def named(visit: Visit) -> str:
    """The file that the end of the path names. Raises ParameterError."""
    return parse_file_name(visit.request.path_params["path"])


def api_path(visit: Visit, project_id: int, rest: str) -> str:
    """What is below the holder's path in the API, where scripts of a page send files; `rest` is encoded."""
    ref = owner_of(visit)
    owner = f"{CANDIDATE if ref.kind is OwnerKind.CANDIDATE else ''}{ref.key}"
    return visit.links.to(f"{API}/projects/{project_id}{MODEL_FILES}/{owner}/{rest}")


def folder_in(text: str) -> str:
    """A folder that was typed, without slashes around it; empty for the top. Raises ParameterError for none."""
    folder = text.strip().strip("/")
    if "//" in folder:
        raise ParameterError("path is invalid")
    return folder
