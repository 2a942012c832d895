"""Tokens: making, listing, rotating and revoking them. The secret is shown once and kept as SHA-256 only."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date
from functools import partial

from modelyard.access.identity import Identity
from modelyard.access.policy import Action, ProjectFacts, Role, effective_role
from modelyard.access.tokens import Scope, TokenKind, digest_of, new_token
from modelyard.clock import DAY, Milliseconds, iso_date, now, start_of
from modelyard.errors import Forbidden, InvalidFields, NotAllowed, NotFound, ParameterError
from modelyard.registry.engine import Database
from modelyard.registry.people.tokens import TokenFilter
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Project, Token, User
from modelyard.services.people import members
from modelyard.services.people.authentication import open_project, refuse_job, require_admin
from modelyard.services.tracking.rows_quota import RowsQuota
from modelyard.terms.paging import Page, PageRequest
from modelyard.terms.paths import ProjectRef

MAX_NAME = MAX_DESCRIPTION = 255  # characters, as in GitLab
KEPT: Milliseconds = 7 * DAY  # after its end, for which a token of a job or a browser can be told of
ROTATED_FOR = 7 * DAY  # how long a rotated token lives when nobody says, as in GitLab
EVENTS: dict[str, str] = {  # what the audit trail calls them
    TokenKind.PERSONAL: "personal_access_token",
    TokenKind.PROJECT: "project_access_token",
    TokenKind.JOB: "job_token",
    TokenKind.SESSION: "user_session",
}
_OTHERS = frozenset({TokenKind.JOB, TokenKind.SESSION})  # which have listings, and ends, of their own

Made = tuple[Token, str]  # a token and its secret
WithRole = tuple[Token, int | None]  # a project's token and its bot's access level there, None when that has ended


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to be made."""

    name: str
    scopes: tuple[str, ...]
    expires_on: date | None = None  # it stops working when this day begins, in UTC
    description: str = ""


def create_personal(registry: Registry, caller: Identity, user: int | str, new: NewToken) -> Made:
    """Make a token for a user, by id or name; administrators only. Raises Forbidden, NotFound and what is invalid."""
    require_admin(caller)
    owner = registry.users.by_username(user) if isinstance(user, str) else registry.users.by_id(user)
    if owner is None or owner.bot:
        raise NotFound("User")
    return _add(registry, owner.id, TokenKind.PERSONAL, new)


def page_personal(
    registry: Registry, caller: Identity, user_id: int | None, narrowed: TokenFilter, request: PageRequest
) -> Page[Token]:
    """A page of one's own personal tokens; for administrators of anybody's."""
    refuse_job(caller)
    if not caller.admin:
        if user_id is not None and user_id != caller.user_id:
            raise Forbidden
        user_id = caller.user_id
    return registry.tokens.page_of_user(user_id, narrowed, request)


def find_personal(registry: Registry, caller: Identity, token_id: int | None) -> Token:
    """A token that is the caller's own, or anybody's for an administrator; None: the one that was presented.

    Raises NotFound, also for a browser's session, and Forbidden for job tokens.
    """
    refuse_job(caller)
    token = hold(registry, token_id if token_id is not None else caller.token_id)
    mine = token is not None and (token.user_id == caller.user_id or caller.admin)
    if token is None or not mine or token.kind in _OTHERS:
        raise NotFound
    return token


def revoke_personal(registry: Registry, caller: Identity, token_id: int | None) -> None:
    """End a token, which is refused from the next request on; None: the one that was presented, whatever its kind.

    Raises as `find_personal` does.
    """
    token = hold(registry, caller.token_id) if token_id is None else find_personal(registry, caller, token_id)
    if token is not None:
        revoke(registry, token)


def rotate_personal(registry: Registry, caller: Identity, token_id: int | None, expires_on: date | None) -> Made:
    """Replace a token by a new one of the same name and scopes. Raises as `find_personal`; Forbidden if it is dead."""
    return _rotate(registry, find_personal(registry, caller, token_id), expires_on)


def create_for_project(
    registry: Registry, caller: Identity, ref: ProjectRef, new: NewToken, level: int, rows: RowsQuota
) -> Made:
    """Make a project access token, which is a bot with that role.

    Raises Forbidden for a role above the caller's, and for callers who are such a bot.
    """
    project, facts = open_project(registry, caller, ref, Action.GRANT)
    if level > effective_role(caller, facts):
        raise Forbidden("The access level is above your own")
    rows.hold(registry, project.id)
    bot = registry.users.add(f"project_{project.id}_bot_{secrets.token_hex(16)}", name=new.name, bot=True)
    members.note_added(registry, registry.members.add(project.id, bot.id, Role(level)), bot)
    return _add(registry, bot.id, TokenKind.PROJECT, new, project_id=project.id)


def page_of_project(
    registry: Registry, caller: Identity, ref: ProjectRef, narrowed: TokenFilter, request: PageRequest
) -> Page[WithRole]:
    """A page of a project's access tokens, for its maintainers."""
    project, _facts = _manage(registry, caller, ref)
    page = registry.tokens.page_of_project(project, TokenKind.PROJECT, None, narrowed, request)
    return page.showing(_with_roles(registry, project, page.items))


def find_of_project(registry: Registry, caller: Identity, ref: ProjectRef, token_id: int) -> WithRole:
    """An access token of a project, for its maintainers. Raises NotFound."""
    project, _facts = _manage(registry, caller, ref)
    return _with_roles(registry, project, [_of_project(registry, project, token_id)])[0]


def rotate_of_project(
    registry: Registry, caller: Identity, ref: ProjectRef, token_id: int | None, expires_on: date | None
) -> tuple[Made, int | None]:
    """Replace an access token of a project by a new one of the same bot, whose access level comes with it.

    For maintainers who are people, up to their own role; None: the token that was presented, whatever its role. Raises
    NotFound, NotAllowed if that is none of a project, Forbidden for a role above the caller's and if the token is dead.
    """
    if token_id is None:
        project, facts = open_project(registry, caller, ref, Action.READ)
        token = _presented(registry, caller, project.id)
    else:
        project, facts = open_project(registry, caller, ref, Action.GRANT)
        token = _of_project(registry, project.id, token_id)
    ((_token, level),) = _with_roles(registry, project.id, [token])
    if token_id is not None and (level or 0) > effective_role(caller, facts):
        raise Forbidden("The access level is above your own")
    return _rotate(registry, token, expires_on), level


def revoke_of_project(registry: Registry, caller: Identity, ref: ProjectRef, token_id: int) -> None:
    """End a project access token, and its bot's membership with it. Raises NotFound."""
    project, _facts = _manage(registry, caller, ref)
    token = _of_project(registry, project, token_id)
    revoke(registry, token)
    if membership := registry.members.find(project, token.user_id):
        members.end(registry, *membership)


def is_active(token: Token) -> bool:
    """Whether a token works at the moment, its user aside."""
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now())


def hold(registry: Registry, token_id: int | None) -> Token | None:
    """The token of that id, which nobody else changes from now on."""
    registry.locks.token(token_id or -1)
    return registry.tokens.by_id(token_id or -1)


def revoke(registry: Registry, token: Token) -> None:
    """End a token, unless it has ended, and write it into the audit trail."""
    if token.revoked_at is None:
        token.revoked_at = now()
        registry.audit.note(f"{EVENTS[token.kind]}_revoked", token, {"remove": "token"}, entity=_owner(registry, token))


def store(registry: Registry, token: Token) -> Made:
    """Give a new token its secret, keep it, and write it into the audit trail."""
    secret = new_token()
    token.digest = digest_of(secret)
    registry.tokens.add(token)
    facts = {"add": "token", "scopes": token.scopes, "expires_at": iso_date(token.expires_at)}
    registry.audit.note(f"{EVENTS[token.kind]}_created", token, facts, entity=_owner(registry, token))
    return token, secret


def prune(database: Database) -> int:
    """Forget tokens of jobs and browsers that ended a while ago, in batches, so that writers pass in between; how many
    those were.
    """
    over, forgotten = partial(_over, before=now() - KEPT), 0
    while ids := database.read_now(over):
        database.write_now(partial(_forget, ids=ids))
        forgotten += len(ids)
    return forgotten


def _over(registry: Registry, *, before: Milliseconds) -> list[int]:
    return registry.tokens.over(before)


def _forget(registry: Registry, *, ids: list[int]) -> None:
    registry.tokens.forget(ids)


def _manage(registry: Registry, caller: Identity, ref: ProjectRef) -> tuple[int, ProjectFacts]:
    project, facts = open_project(registry, caller, ref, Action.MANAGE)
    return project.id, facts


def _of_project(registry: Registry, project_id: int, token_id: int) -> Token:
    token = hold(registry, token_id)
    if token is None or token.project_id != project_id or token.kind != TokenKind.PROJECT:
        raise NotFound
    return token


def _presented(registry: Registry, caller: Identity, project_id: int) -> Token:
    token = hold(registry, caller.token_id)
    if token is None or token.kind != TokenKind.PROJECT:
        raise NotAllowed
    if token.project_id != project_id:
        raise NotFound
    return token


def _with_roles(registry: Registry, project_id: int, tokens: list[Token]) -> list[WithRole]:
    roles = registry.members.levels(project_id, [token.user_id for token in tokens])
    return [(token, roles.get(token.user_id)) for token in tokens]


def _rotate(registry: Registry, old: Token, expires_on: date | None) -> Made:
    if not is_active(old):
        raise Forbidden("The token is not active")
    expires_at = _expiry(expires_on) or now() + ROTATED_FOR
    revoke(registry, old)
    fresh = Token(
        user_id=old.user_id,
        project_id=old.project_id,
        maker_id=old.maker_id,
        kind=old.kind,
        name=old.name,
        description=old.description,
        scopes=old.scopes,
        expires_at=expires_at - expires_at % DAY,
    )
    return store(registry, fresh)


def _expiry(day: date | None) -> Milliseconds | None:
    if day is None:
        return None
    if start_of(day) <= now():
        raise InvalidFields(expires_at="must be in the future")
    return start_of(day)


def _add(registry: Registry, user_id: int, kind: TokenKind, new: NewToken, project_id: int | None = None) -> Made:
    if not 0 < len(new.name.strip()) <= MAX_NAME:
        raise InvalidFields(name=f"must have 1 to {MAX_NAME} characters")
    if not new.scopes or not set(new.scopes) <= set(Scope):
        raise ParameterError("scopes does not have a valid value")
    token = Token(
        user_id=user_id,
        project_id=project_id,
        kind=kind,
        name=new.name,
        description=new.description,
        scopes=" ".join(dict.fromkeys(new.scopes)),
        expires_at=_expiry(new.expires_on),
    )
    return store(registry, token)


def _owner(registry: Registry, token: Token) -> User | Project | None:
    """Whose the token is, as the audit trail has it: a project's, or a person's."""
    if token.project_id is not None:
        return registry.projects.by_id(token.project_id)
    return registry.users.by_id(token.user_id)
