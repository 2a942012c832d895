"""Accounts: who exists, and whether they may come in. Administrators manage them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelyard.access.identity import Identity, UserState
from modelyard.clock import DAY, Milliseconds, now
from modelyard.errors import BadRequest, Conflict, Forbidden, InvalidFields, NotFound
from modelyard.registry.people.users import UserFilter
from modelyard.registry.repository import Registry
from modelyard.registry.tables import User
from modelyard.services.people.authentication import require_admin
from modelyard.services.people.names import RESERVED, is_path_segment, is_reserved
from modelyard.terms.paging import Page, PageRequest

MAX_NAME = 255  # characters
DORMANT_DAYS = 90  # since the last use of a token, after which a user can be deactivated, as in GitLab
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

LastSeen = tuple[User, Milliseconds | None]  # a user, and when a token of theirs was last used


@dataclass(frozen=True, slots=True)
class NewUser:
    """An account to be made."""

    username: str
    name: str | None = None
    email: str = ""
    admin: bool = False


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to be changed of an account; None leaves a field as it is."""

    name: str | None = None
    email: str | None = None
    admin: bool | None = None
    username: str | None = None  # for clients that send what they know; it cannot be another one


def create(registry: Registry, caller: Identity, new: NewUser) -> User:
    """Make an account. Raises Forbidden, InvalidFields, and Conflict for a name that a user or namespace has."""
    require_admin(caller)
    if not is_path_segment(new.username) or new.username.isdigit():
        raise InvalidFields(username="can contain only letters, digits, '_', '-' and '.', and not only digits")
    if is_reserved(new.username):
        raise InvalidFields(username=RESERVED)
    _check(new.name, new.email)
    registry.locks.accounts()
    if registry.users.by_username(new.username) or registry.projects.in_namespace(new.username):
        raise Conflict("Username has already been taken")
    user = registry.users.add(new.username, name=new.name, email=new.email, admin=new.admin)
    registry.audit.note("user_created", user, {"add": "user", "admin": user.admin})
    return user


def current(registry: Registry, caller: Identity) -> LastSeen:
    """The caller's own account, which may be a bot's. Raises NotFound."""
    user = registry.users.by_id(caller.user_id or -1)
    if user is None:
        raise NotFound("User")
    return last_seen(registry, [user])[0]


def show(registry: Registry, user_id: int) -> LastSeen:
    """The account of that id. Raises as `find` does."""
    return last_seen(registry, [find(registry, user_id)])[0]


def find(registry: Registry, user_id: int) -> User:
    """The account of that id. Raises NotFound, also for the bots of projects."""
    user = registry.users.by_id(user_id)
    if user is None or user.bot:
        raise NotFound("User")
    return user


def page(registry: Registry, caller: Identity, narrowed: UserFilter, request: PageRequest) -> Page[LastSeen]:
    """A page of accounts for administrators; for others of one user name, which is to be known. Raises Forbidden."""
    if narrowed.username is None or caller.job_project_id is not None:
        require_admin(caller)
    if not caller.admin:
        # What only administrators are told is not to be found out by asking for it.
        narrowed = replace(narrowed, in_emails=False, admins=False, without_projects=False, created=(None, None))
    found = registry.users.search(narrowed, request)
    return found.showing(last_seen(registry, found.items))


def last_seen(registry: Registry, users: Sequence[User]) -> list[LastSeen]:
    """Users with when a token of theirs was last used, as far as it is written."""
    used = registry.tokens.last_used([user.id for user in users])
    return [(user, used.get(user.id)) for user in users]


def update(registry: Registry, caller: Identity, user_id: int, change: UserChange) -> LastSeen:
    """Change an account. Raises Forbidden, NotFound, InvalidFields, and BadRequest for the last administrator."""
    require_admin(caller)
    registry.locks.accounts()
    user = find(registry, user_id)
    if change.username is not None and change.username != user.username:
        raise InvalidFields(username="cannot be changed, as projects are addressed by it")
    _check(change.name, change.email)
    if change.admin is False:
        _keep_an_admin(registry, user)
    before = _facts(user)
    user.name = user.name if change.name is None else change.name
    user.email = user.email if change.email is None else change.email
    user.admin = user.admin if change.admin is None else change.admin
    registry.audit.note_changes("user_updated", user, before, _facts(user))
    return last_seen(registry, [user])[0]


def delete(registry: Registry, caller: Identity, user_id: int) -> None:
    """Remove an account with its tokens and memberships. Raises as `update` does."""
    user = _somebody_else(registry, caller, user_id)
    registry.audit.note("user_destroyed", user, {"remove": "user"})
    registry.users.delete(user)


def block(registry: Registry, caller: Identity, user_id: int) -> None:
    """Keep an account out; its tokens are refused from the next request on. Raises as `update` does."""
    _set_state(registry, _somebody_else(registry, caller, user_id), UserState.BLOCKED, "user_blocked")


def unblock(registry: Registry, caller: Identity, user_id: int) -> None:
    """Let a blocked account in again. Raises as `update`, and Forbidden for one that was deactivated."""
    user = _somebody_else(registry, caller, user_id)
    if user.state == UserState.DEACTIVATED:
        raise Forbidden("Deactivated users cannot be unblocked by the API")
    _set_state(registry, user, UserState.ACTIVE, "user_unblocked")


def deactivate(registry: Registry, caller: Identity, user_id: int) -> None:
    """Keep an account out that nobody has used for DORMANT_DAYS. Raises as `update`; Forbidden for any other.

    What other processes have seen of it counts once they have written it, which they do within a minute.
    """
    user = _somebody_else(registry, caller, user_id)
    if user.state == UserState.BLOCKED:
        raise Forbidden("A blocked user cannot be deactivated")
    if user.state == UserState.ACTIVE:
        registry.write_last_uses()
        if registry.tokens.last_used([user.id]).get(user.id, 0) > now() - DORMANT_DAYS * DAY:
            raise Forbidden(
                f"The user you are trying to deactivate has been active in the past {DORMANT_DAYS} days "
                "and cannot be deactivated"
            )
    _set_state(registry, user, UserState.DEACTIVATED, "user_deactivated")


def activate(registry: Registry, caller: Identity, user_id: int) -> None:
    """Let a deactivated account in again. Raises as `update`, and Forbidden for one that was blocked."""
    user = _somebody_else(registry, caller, user_id)
    if user.state == UserState.BLOCKED:
        raise Forbidden("A blocked user must be unblocked to be activated")
    _set_state(registry, user, UserState.ACTIVE, "user_activated")


def _set_state(registry: Registry, user: User, state: UserState, event: str) -> None:
    registry.audit.note_changes(event, user, {"state": user.state}, {"state": state})
    user.state = state


def _facts(user: User) -> dict[str, object]:
    return {"name": user.name, "email": user.email, "admin": user.admin}


def _somebody_else(registry: Registry, caller: Identity, user_id: int) -> User:
    require_admin(caller)
    registry.locks.accounts()
    user = find(registry, user_id)
    if user.id == caller.user_id:
        raise Forbidden("You cannot do this to your own account")
    _keep_an_admin(registry, user)
    return user


def _keep_an_admin(registry: Registry, user: User) -> None:
    if user.admin and user.state == UserState.ACTIVE and registry.users.active_admins() == 1:
        raise BadRequest("The last administrator must stay")


def _check(name: str | None, email: str | None) -> None:
    if name is not None and not 0 < len(name.strip()) <= MAX_NAME:
        raise InvalidFields(name=f"must have 1 to {MAX_NAME} characters")
    if email and not _EMAIL.fullmatch(email):
        raise InvalidFields(email="is invalid")
