"""From a presented credential to who is asking, and to the project that they ask for."""

from __future__ import annotations

from modelyard.access.identity import ANONYMOUS, Identity, identify, require_scope
from modelyard.access.policy import Action, ProjectFacts, require
from modelyard.access.tokens import digest_of
from modelyard.clock import now
from modelyard.errors import Forbidden
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Project
from modelyard.terms.paths import ProjectRef

Seen = tuple[Project, ProjectFacts]  # a project, and what its viewer is to it


def authenticate(registry: Registry, credential: str | None) -> Identity:
    """Who holds the credential, and acts from now on; ANONYMOUS without one.

    Raises what `identity.identify` raises: a credential that is present must be valid.
    """
    if credential is None:
        return ANONYMOUS
    caller = identify(registry.tokens.facts(digest_of(credential)), now())
    registry.act(caller)
    return caller


def open_project(
    registry: Registry, caller: Identity, ref: ProjectRef, action: Action, *, part: str | None = None
) -> Seen:
    """The project that `ref` names, if the caller may do `action` there; else what `policy.require` raises.

    In a write transaction nobody else changes the project from now on, or that part of it (see `registry.locks`).
    """
    found = _allowed(registry, caller, ref, action)
    if registry.locks.project(found[0].id, part):
        found = _allowed(registry, caller, ref, action)
    registry.act(caller, found[1])
    return found


def enter_project(
    registry: Registry, credential: str, ref: ProjectRef, action: Action, *, part: str | None = None
) -> tuple[Identity, int]:
    """`authenticate` and `open_project` in one statement: who holds the credential, and the project's id."""
    key, known = (digest_of(credential), ref), registry.entered
    last = known.get(key) if action is not Action.READ else None
    # Whoever could write a moment ago mostly still can: then the project is held before the one look at it.
    held = last is not None and registry.locks.project(last, part)
    caller, project = _entered(registry, credential, ref, action)
    if not (held and project.id == last) and registry.locks.project(project.id, part):
        caller, project = _entered(registry, credential, ref, action)
        known.note(key, project.id)
    registry.act(caller, project)
    return caller, project.id


def see_project(registry: Registry, caller: Identity, ref: ProjectRef) -> int:
    """The id of another project than the caller acts in, if they may read it; else what `policy.require` raises.

    In a write transaction nobody else changes that project from now on.
    """
    found = _allowed(registry, caller, ref, Action.READ)
    if registry.locks.project(found[0].id):
        found = _allowed(registry, caller, ref, Action.READ)
    return found[0].id


def require_admin(caller: Identity) -> None:
    """Refuse everybody but administrators, and administrators' job tokens."""
    if not caller.admin or caller.job_project_id is not None:
        raise Forbidden


def refuse_job(caller: Identity) -> None:
    """Refuse job tokens, which act in one project alone."""
    if caller.job_project_id is not None:
        raise Forbidden


def _entered(registry: Registry, credential: str, ref: ProjectRef, action: Action) -> tuple[Identity, ProjectFacts]:
    token, project = registry.locations.find_project(digest_of(credential), ref)
    caller = identify(token, now())
    require_scope(caller, writing=action is not Action.READ)
    return caller, require(caller, project, action)


def _allowed(registry: Registry, caller: Identity, ref: ProjectRef, action: Action) -> Seen:
    found = registry.projects.find(ref, caller.user_id)
    require(caller, found[1] if found else None, action)
    assert found is not None  # noqa: S101 - for mypy
    return found
