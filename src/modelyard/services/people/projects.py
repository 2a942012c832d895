"""Projects: making, showing, changing and deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelyard.access.identity import Identity
from modelyard.access.policy import Action, ProjectFacts, Role, Visibility, effective_role, require
from modelyard.errors import Forbidden, InvalidFields, NotFound, ParameterError
from modelyard.registry.people.projects import ProjectFilter
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Project
from modelyard.services.people import accounts, members, namespaces
from modelyard.services.people.authentication import Seen, open_project, require_admin
from modelyard.services.people.names import RESERVED, is_path_segment, is_reserved, slug
from modelyard.services.people.namespaces import Namespace
from modelyard.services.tracking import experiments
from modelyard.terms.paging import Page, PageRequest
from modelyard.terms.paths import ProjectRef

DEFAULT_LIMIT = -1
MAX_NAME = 255  # characters
MAX_DESCRIPTION = 2000
MAX_NAMESPACE_DEPTH = 20  # GitLab's limit for nested groups
PATH_RULE = (
    "can contain only letters, digits, '_', '-' and '.', must not begin with '-' or '.' or end in '.git' or '.atom'"
)


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project to be made; at least one of name and path is given."""

    name: str | None = None
    path: str | None = None
    namespace_path: str | None = None  # default: the caller's user name
    namespace_id: int | None = None  # in place of its path
    visibility: str = Visibility.PRIVATE
    description: str = ""


@dataclass(frozen=True, slots=True)
class ProjectChange:
    """What is to be changed of a project; None leaves a field as it is."""

    name: str | None = None
    path: str | None = None
    visibility: str | None = None
    description: str | None = None
    storage_limit: int | None = None  # bytes; 0: no limit, DEFAULT_LIMIT: the server's own


@dataclass(frozen=True, slots=True)
class Shown:
    """A project as somebody may know it."""

    project: Project
    namespace: Namespace
    used: int | None  # bytes of all files; None: not told
    limit_shown: bool


def create(registry: Registry, caller: Identity, new: NewProject) -> Seen:
    """Make a project whose owner is the caller, or the user whose namespace it is in.

    Raises Forbidden for bots, jobs and somebody else's namespace; InvalidFields; ParameterError without any name, and
    for two namespaces.
    """
    if caller.bot or caller.job_project_id is not None:
        raise Forbidden
    registry.locks.accounts()
    name, path = new.name or new.path, new.path or slug(new.name or "")
    if name is None:
        raise ParameterError("name, path are missing, at least one parameter must be provided")
    namespace = _namespace_of(registry, caller, new)
    _check(name, path, new.description)
    _check_namespace(registry, caller, namespace)
    project = Project(
        name=name,
        path=path,
        namespace_path=namespace,
        path_key=_free_path(registry, namespace, path),
        visibility=new.visibility,
        description=new.description,
        creator_id=caller.user_id,
    )
    registry.projects.add(project)
    experiments.add_default(registry, project.id)
    facts = {"add": "project", "visibility": project.visibility}
    registry.audit.note("project_created", project, facts, entity=project)
    mine = _add_owner(registry, caller, project) == caller.user_id
    return project, ProjectFacts(project.id, project.full_path, project.visibility, Role.OWNER if mine else None)


def create_for(registry: Registry, caller: Identity, user_id: int, new: NewProject) -> Seen:
    """Make a project in the namespace of a user, who owns it, as an administrator. Raises as `create`; NotFound."""
    require_admin(caller)
    return create(registry, caller, replace(new, namespace_path=accounts.find(registry, user_id).username))


def show(registry: Registry, caller: Identity, ref: ProjectRef) -> Seen:
    """A project that the caller sees. Raises ProjectNotFound."""
    return open_project(registry, caller, ref, Action.READ)


def page(
    registry: Registry, caller: Identity, narrowed: ProjectFilter, request: PageRequest, *, statistics: bool = False
) -> Page[Shown]:
    """A page of the projects that the caller sees."""
    found = registry.projects.visible(caller, narrowed, request)
    return found.showing(shown(registry, caller, found.items, statistics=statistics))


def page_of_user(
    registry: Registry,
    caller: Identity,
    user: int | str,
    narrowed: ProjectFilter,
    request: PageRequest,
    *,
    statistics: bool = False,
) -> Page[Shown]:
    """A page of the projects in the namespace of a user, by id or name, that the caller sees. Raises NotFound.

    Strangers are told of users only by their public projects.
    """
    owner = registry.users.by_username(user) if isinstance(user, str) else registry.users.by_id(user)
    if owner is None or owner.bot:
        raise NotFound("User")
    if caller.anonymous and registry.projects.namespace_seen(caller, owner.username) is None:
        raise NotFound("User")
    return page(registry, caller, replace(narrowed, below=owner.username), request, statistics=statistics)


def update(registry: Registry, caller: Identity, ref: ProjectRef, change: ProjectChange) -> Seen:
    """Change name and description as a maintainer, path and visibility as an owner, the limit as an administrator.

    Raises InvalidFields.
    """
    project, facts = open_project(registry, caller, ref, Action.MANAGE)
    if change.storage_limit is not None:
        require_admin(caller)
    if change.path is not None or change.visibility is not None:
        require(caller, facts, Action.OWN)
    name = project.name if change.name is None else change.name
    path = project.path if change.path is None else change.path
    description = project.description if change.description is None else change.description
    _check(name, path, description)
    if path.lower() != project.path.lower():
        project.path_key = _free_path(registry, project.namespace_path, path)
    before = _facts(project)
    described = description != project.description
    project.name, project.path, project.description = name, path, description
    project.visibility = change.visibility or project.visibility
    if change.storage_limit is not None:
        project.storage_limit = None if change.storage_limit == DEFAULT_LIMIT else change.storage_limit
    registry.audit.note_changes("project_updated", project, before, _facts(project))
    if described:
        registry.audit.note("project_updated", project, {"change": "description"})
    return project, facts


def shown(registry: Registry, caller: Identity, seen: Sequence[Project], *, statistics: bool = False) -> list[Shown]:
    """What the caller may know of projects that it sees; sizes only with `statistics`."""
    told: list[int] = []
    for project in seen if statistics else ():
        found = registry.projects.find(project.id, caller.user_id)
        if found is not None and effective_role(caller, found[1]) >= Role.REPORTER:
            told.append(project.id)
    used = registry.storage.used_by(told)
    owners = namespaces.owners_of(registry, [project.namespace_path for project in seen])
    return [
        Shown(project, namespaces.at(project.namespace_path, owners), used.get(project.id), limit_shown=caller.admin)
        for project in seen
    ]


def delete(registry: Registry, caller: Identity, ref: ProjectRef) -> None:
    """Remove a project with all that it holds, as an owner."""
    project, _facts = open_project(registry, caller, ref, Action.OWN)
    registry.audit.note("project_destroyed", project, {"remove": "project"})
    registry.projects.delete(project)


def _facts(project: Project) -> dict[str, object]:
    return {
        "name": project.name,
        "path": project.full_path,
        "visibility": project.visibility,
        "storage_limit": project.storage_limit,
    }


def _add_owner(registry: Registry, caller: Identity, project: Project) -> int | None:
    """Make the owner a member: the user whose namespace it lies in, else who makes it. The answer is the user's id."""
    user = registry.users.by_username(_root_of(project.namespace_path))
    owner_id = user.id if user else caller.user_id
    if owner_id is not None:
        member = registry.members.add(project.id, owner_id, Role.OWNER)
        if owner := registry.users.by_id(owner_id):
            members.note_added(registry, member, owner, project)
    return owner_id


def _check(name: str, path: str, description: str) -> None:
    if not 0 < len(name.strip()) <= MAX_NAME:
        raise InvalidFields(name=f"must have 1 to {MAX_NAME} characters")
    if not is_path_segment(path):
        raise InvalidFields(path=PATH_RULE)
    if len(description) > MAX_DESCRIPTION:
        raise InvalidFields(description=f"is too long (maximum is {MAX_DESCRIPTION} characters)")


def _namespace_of(registry: Registry, caller: Identity, new: NewProject) -> str:
    if new.namespace_id is None:
        return new.namespace_path or caller.username
    if new.namespace_path is not None:
        raise ParameterError("namespace_id, namespace_path are mutually exclusive")
    try:
        return namespaces.show(registry, caller, new.namespace_id).full_path
    except NotFound as error:
        raise InvalidFields(namespace="is not valid") from error


def _check_namespace(registry: Registry, caller: Identity, namespace: str) -> None:
    """There are no groups: a namespace is a user's own, or free, or belongs to the owners of the projects in it."""
    segments = namespace.split("/")
    if not all(is_path_segment(segment) for segment in segments):
        raise InvalidFields(namespace_path=PATH_RULE)
    if len(segments) > MAX_NAMESPACE_DEPTH:
        raise InvalidFields(namespace_path=f"is nested too deeply (maximum is {MAX_NAMESPACE_DEPTH} levels)")
    root = _root_of(namespace)
    if is_reserved(root) and not registry.projects.in_namespace(root) and registry.users.by_username(root) is None:
        raise InvalidFields(namespace_path=RESERVED)
    if caller.admin or root.lower() == caller.username.lower():
        return
    if registry.users.by_username(root) is not None:
        raise Forbidden
    if registry.projects.in_namespace(root) and not registry.projects.owns_in_namespace(root, caller.user_id or -1):
        raise Forbidden


def _root_of(namespace: str) -> str:
    return namespace.partition("/")[0]


def _free_path(registry: Registry, namespace: str, path: str) -> str:
    full = f"{namespace}/{path}"
    if registry.projects.by_path(full) is not None:
        raise InvalidFields(path="has already been taken")
    return full.lower()
