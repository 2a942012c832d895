"""Members: who has which role in a project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from modelyard.access.identity import Identity
from modelyard.access.policy import Action, ProjectFacts, Role, effective_role, require
from modelyard.clock import Milliseconds, iso_date, now, start_of
from modelyard.errors import BadRequest, Conflict, Forbidden, InvalidFields, NotFound, ParameterError
from modelyard.registry.people.members import MemberFilter, Membership
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Member, Project, User
from modelyard.services.people import accounts
from modelyard.services.people.authentication import open_project, require_admin
from modelyard.terms.paging import Page, PageRequest
from modelyard.terms.paths import ProjectRef


@dataclass(frozen=True, slots=True)
class NewMember:
    """A user, by id or name, who is to get a role until a day, or for good."""

    access_level: Role
    user_id: int | None = None
    username: str | None = None
    expires_on: date | None = None


@dataclass(frozen=True, slots=True)
class MemberChange:
    """The role that a member is to have, and until when."""

    access_level: Role
    expires_on: date | None = None
    sets_expiry: bool = False  # whether `expires_on` counts; else the membership ends when it did before


def page(
    registry: Registry,
    caller: Identity,
    ref: ProjectRef,
    narrowed: MemberFilter,
    request: PageRequest,
    *,
    none: bool = False,
) -> Page[Membership]:
    """A page of a project's members, for its members; with `none` an empty one."""
    project, _facts = open_project(registry, caller, ref, Action.READ_MEMBERS)
    return Page([], 0, request) if none else registry.members.page_of_project(project.id, narrowed, request)


def page_of_user(
    registry: Registry, caller: Identity, user_id: int, request: PageRequest, *, none: bool = False
) -> Page[tuple[Member, Project]]:
    """A page of a user's memberships, for administrators; with `none` an empty one. Raises Forbidden, NotFound."""
    require_admin(caller)
    user = accounts.find(registry, user_id)
    return Page([], 0, request) if none else registry.members.page_of_user(user.id, request)


def show(registry: Registry, caller: Identity, ref: ProjectRef, user_id: int) -> Membership:
    """One member, for the project's members. Raises NotFound."""
    project, _facts = open_project(registry, caller, ref, Action.READ_MEMBERS)
    return _find(registry, project.id, user_id)


def add(registry: Registry, caller: Identity, ref: ProjectRef, new: NewMember) -> Membership:
    """Give a user a role that is not above one's own.

    Raises Forbidden, also for bots, NotFound, and Conflict for a member.
    """
    project, facts = open_project(registry, caller, ref, Action.GRANT)
    _refuse_above(caller, facts, new.access_level)
    user = _user(registry, new)
    if registry.members.find(project.id, user.id) is not None:
        raise Conflict("Member already exists")
    member = registry.members.add(project.id, user.id, new.access_level, _expiry(new.expires_on))
    note_added(registry, member, user)
    return member, user


def update(registry: Registry, caller: Identity, ref: ProjectRef, user_id: int, change: MemberChange) -> Membership:
    """Change a role that is not above one's own; it counts from the next request on. Raises as `add`; BadRequest."""
    project, facts = open_project(registry, caller, ref, Action.GRANT)
    member, user = _find(registry, project.id, user_id)
    _refuse_above(caller, facts, max(change.access_level, member.access_level))
    expires_at = _expiry(change.expires_on) if change.sets_expiry else member.expires_at
    if change.access_level < Role.OWNER or expires_at is not None:
        _keep_an_owner(registry, member)
    before = _facts(member)
    member.access_level, member.expires_at = change.access_level, expires_at
    member.provider_id = None  # from now on it is as somebody here has said
    registry.audit.note_changes("member_updated", user, before, _facts(member))
    return member, user


def remove(registry: Registry, caller: Identity, ref: ProjectRef, user_id: int) -> None:
    """End a membership: one's own, or as a maintainer one that is not above one's own. Raises as `update`."""
    project, facts = open_project(registry, caller, ref, Action.READ_MEMBERS)
    member, user = _find(registry, project.id, user_id)
    if user_id != caller.user_id:
        require(caller, facts, Action.MANAGE)
        _refuse_above(caller, facts, member.access_level)
    _keep_an_owner(registry, member)
    end(registry, member, user)


def end(registry: Registry, member: Member, user: User) -> None:
    """End a membership in the project that was entered, whoever may ask for it."""
    registry.audit.note("member_destroyed", user, {"remove": "user_access", "as": _role(member.access_level)})
    registry.members.delete(member)


def note_added(registry: Registry, member: Member, user: User, project: Project | None = None) -> None:
    """Write into the audit trail that a user became a member of the project that was entered, or of `project`."""
    facts = {"add": "user_access", "as": _role(member.access_level), "expires_at": iso_date(member.expires_at)}
    registry.audit.note("member_created", user, facts, entity=project)


def _facts(member: Member) -> dict[str, object]:
    return {"access_level": _role(member.access_level), "expires_at": iso_date(member.expires_at)}


def _role(level: int) -> str:
    return Role(level).name.capitalize()


def _find(registry: Registry, project_id: int, user_id: int) -> Membership:
    found = registry.members.find(project_id, user_id)
    if found is None:
        raise NotFound
    return found


def _user(registry: Registry, new: NewMember) -> User:
    if new.user_id is None and new.username is None:
        raise ParameterError("user_id, username are missing, at least one parameter must be provided")
    if new.user_id is not None and new.username is not None:
        raise ParameterError("user_id, username are mutually exclusive")
    by_id = registry.users.by_id(new.user_id) if new.user_id is not None else None
    user = by_id if new.user_id is not None else registry.users.by_username(new.username or "")
    if user is None or user.bot:
        raise NotFound("User")
    return user


def _refuse_above(caller: Identity, facts: ProjectFacts, level: int) -> None:
    if level > effective_role(caller, facts):
        raise Forbidden("The access level is above your own")


def _keep_an_owner(registry: Registry, member: Member) -> None:
    if member.access_level >= Role.OWNER and not registry.members.has_other_owner(member.project_id, member.user_id):
        raise BadRequest("The last owner must stay")


def _expiry(day: date | None) -> Milliseconds | None:
    if day is not None and start_of(day) <= now():
        raise InvalidFields(expires_at="cannot be a date in the past")
    return start_of(day) if day is not None else None
