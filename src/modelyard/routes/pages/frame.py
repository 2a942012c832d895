"""What stands around a page: who looks, in which project, what may be done there, where that leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelyard.access.identity import Identity
from modelyard.access.policy import Action, ProjectFacts, Role, effective_role, permits
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Project
from modelyard.routes.pages.links import Links
from modelyard.services.people.authentication import open_project
from modelyard.terms.paths import ProjectRef


@dataclass(frozen=True, slots=True)
class InProject:
    """A project that a page is about, as its viewer may know it."""

    id: int
    path: str
    name: str
    visibility: str
    facts: ProjectFacts
    may: frozenset[str]  # values of `Action` that the policy, and the scopes of the viewer's token, let pass
    told_of_storage: bool = False  # as the API tells reporters
    managed: bool = False  # whether its role lets the viewer manage it, also with a token that only reads

    @classmethod
    def of(cls, caller: Identity, project: Project, facts: ProjectFacts) -> InProject:
        """A project that the caller has opened."""
        may = frozenset(action.value for action in Action if permits(caller, facts, action))
        role = effective_role(caller, facts)
        told = role >= Role.REPORTER, role >= Role.MAINTAINER and caller.job_project_id is None
        return cls(project.id, project.full_path, project.name, project.visibility, facts, may, *told)


@dataclass(frozen=True, slots=True)
class View:
    """A page to be rendered: its values, and what its frame says.

    `title`: parts of it, the most special first. `crumbs`: labels with URLs, below the project's own. `active`: the
    entry of the project's menu that the page belongs to.
    """

    title: Sequence[str]
    values: Mapping[str, object] = field(default_factory=dict)
    project: InProject | None = None
    crumbs: Sequence[tuple[str, str]] = ()
    active: str = ""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A link of a menu, with a key that follows `g` on the keyboard."""

    key: str
    label: str
    url: str
    shortcut: str = ""


def enter(registry: Registry, caller: Identity, path: ProjectRef, action: Action = Action.READ) -> InProject:
    """The project of that path or id, for a page about it. Raises what `policy.require` raises."""
    project, facts = open_project(registry, caller, path, action)
    return InProject.of(caller, project, facts)


def menu_of(project: InProject, links: Links) -> list[MenuEntry]:
    """The pages of a project that its viewer may see, in the order of the menu. What is not there is not linked."""
    entries = [
        MenuEntry("overview", "Overview", links.project(project.path), "p"),
        MenuEntry("models", "Models", links.models(project.path), "m"),
        MenuEntry("experiments", "Experiments", links.experiments(project.path), "e"),
    ]
    if Action.READ_MEMBERS.value in project.may:
        entries.append(MenuEntry("members", "Members", links.project(project.path, "/-/project_members")))
    if project.told_of_storage:
        entries.append(MenuEntry("usage", "Usage quotas", links.project(project.path, "/-/usage_quotas")))
    if project.managed:
        entries.append(MenuEntry("tokens", "Access tokens", links.project(project.path, "/-/settings/access_tokens")))
        entries.append(MenuEntry("audit", "Audit events", links.project(project.path, "/-/audit_events")))
    if Action.MANAGE.value in project.may:
        entries.append(MenuEntry("edit", "Edit project", links.project(project.path, "/edit")))
    return entries
