"""What a role may do: the one table of permissions, GitLab's roles with modelyard's rules.

Invisible things are 404, visible but forbidden ones 403, anonymous writers 401.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum

from modelyard.access.identity import Identity
from modelyard.errors import ApiError, Forbidden, ProjectNotFound, Unauthorized


class Role(IntEnum):
    """GitLab's access levels."""

    GUEST = 10
    PLANNER = 15
    REPORTER = 20
    DEVELOPER = 30
    MAINTAINER = 40
    OWNER = 50


class Visibility(StrEnum):
    """Who may read a project without being a member of it."""

    PRIVATE = "private"
    INTERNAL = "internal"
    PUBLIC = "public"


class Action(Enum):
    """Everything that one can do to a project."""

    READ = "read"
    READ_MEMBERS = "read members"
    MAKE_JOB_TOKEN = "make job token"  # noqa: S105 - an action, not a secret
    WRITE = "write"
    MANAGE = "manage"
    GRANT = "grant"  # access to others, by a role or by a token that is not of the caller
    OWN = "own"


# The least role for each action; None: whoever sees the project.
LEAST_ROLE: dict[Action, Role | None] = {
    Action.READ: None,
    Action.READ_MEMBERS: Role.GUEST,
    Action.MAKE_JOB_TOKEN: Role.REPORTER,
    Action.WRITE: Role.DEVELOPER,
    Action.MANAGE: Role.MAINTAINER,
    Action.GRANT: Role.MAINTAINER,
    Action.OWN: Role.OWNER,
}

# What a CI job may do; it never manages people, tokens or the project itself.
JOB_ACTIONS = frozenset({Action.READ, Action.WRITE})
# What a project's own token may do, whatever its role: what one that has leaked could make of itself would outlive it.
# GitLab prevents `create_resource_access_tokens` and `manage_resource_access_tokens` for `project_bot_access`.
BOT_ACTIONS = frozenset(Action) - {Action.GRANT}

_CHANGES_NOTHING = frozenset({Action.READ, Action.READ_MEMBERS})


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """What the policy needs to know of a project, seen from one caller; `role` is None for a non-member."""

    id: int
    path: str
    visibility: str
    role: int | None


def sees(identity: Identity, project: ProjectFacts) -> bool:
    """Whether the project exists as far as this caller is told."""
    if identity.admin or project.role is not None or project.visibility == Visibility.PUBLIC:
        return True
    return project.visibility == Visibility.INTERNAL and not identity.anonymous and not identity.bot


def require(identity: Identity, project: ProjectFacts | None, action: Action) -> ProjectFacts:
    """Let `action` pass and return the project, or raise the refusal that GitLab gives.

    Unauthorized (an anonymous caller wants more than to read), ProjectNotFound (absent or invisible), Forbidden (a role
    too low, a job token outside of its project, or one of a job or a project outside of its purpose).
    """
    if identity.anonymous and action is not Action.READ:
        raise Unauthorized
    if project is None or not sees(identity, project):
        raise ProjectNotFound
    _require_job_scope(identity, project, action)
    least = LEAST_ROLE[action]
    if least is not None and effective_role(identity, project) < least:
        raise Forbidden
    if identity.bot and action not in BOT_ACTIONS:
        raise Forbidden("Project access tokens cannot give access to others")
    return project


def permits(identity: Identity, project: ProjectFacts, action: Action) -> bool:
    """Whether `require` would let a request of the caller pass, and its token's scopes too: what pages may offer."""
    if action not in _CHANGES_NOTHING and not identity.may_write:
        return False
    try:
        require(identity, project, action)
    except ApiError:
        return False
    return True


def effective_role(identity: Identity, project: ProjectFacts) -> int:
    """The caller's access level in the project, 0 for none; an administrator owns everything."""
    return Role.OWNER if identity.admin else project.role or 0


def _require_job_scope(identity: Identity, project: ProjectFacts, action: Action) -> None:
    if identity.job_project_id is None:
        return
    if identity.job_project_id != project.id:
        raise Forbidden("Authentication by CI/CD job token not allowed from another project.")
    if action not in JOB_ACTIONS:
        raise Forbidden
