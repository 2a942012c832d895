"""Job tokens: they act in one project for their maker, for a while, and never longer than what they were made with."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.access.identity import Identity
from modelyard.access.policy import Action, Role, effective_role
from modelyard.access.tokens import Scope, TokenKind
from modelyard.clock import Milliseconds, now
from modelyard.errors import NotFound
from modelyard.registry.people.tokens import TokenFilter
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Token
from modelyard.services.people.authentication import open_project, refuse_job
from modelyard.services.people.credentials import hold, is_active, revoke, store
from modelyard.services.tracking.rows_quota import RowsQuota
from modelyard.terms.paging import Page, PageRequest
from modelyard.terms.paths import NOBODY, ProjectRef


@dataclass(frozen=True, slots=True)
class JobToken:
    """A job token with the token that it was made with; versions before revision 0009 did not keep that."""

    token: Token
    maker: Token | None

    @property
    def project_id(self) -> int:
        """The only project that it opens."""
        return self.token.project_id or NOBODY

    @property
    def revoked(self) -> bool:
        """Whether it was revoked, or what it was made with."""
        return any(each.revoked_at is not None for each in self._both)

    @property
    def active(self) -> bool:
        """Whether it works at the moment, its user aside."""
        return all(map(is_active, self._both))

    @property
    def expires_at(self) -> Milliseconds:
        """When it stops working if nobody revokes it."""
        return min(each.expires_at for each in self._both if each.expires_at is not None)

    @property
    def _both(self) -> list[Token]:
        return [self.token] if self.maker is None else [self.token, self.maker]


def create(
    registry: Registry, caller: Identity, ref: ProjectRef, lifetime: Milliseconds, rows: RowsQuota
) -> tuple[JobToken, str]:
    """Make a token that acts for the caller in that one project, for a while; with its secret."""
    project, _facts = open_project(registry, caller, ref, Action.MAKE_JOB_TOKEN)
    rows.hold(registry, project.id)
    token, secret = store(
        registry,
        Token(
            user_id=caller.user_id,
            project_id=project.id,
            maker_id=_maker_of(registry, caller),
            kind=TokenKind.JOB,
            name="job",
            # It never opens more than what it was made with, and only tokens with this scope can make it.
            scopes=Scope.API,
            expires_at=now() + lifetime,
        ),
    )
    return _with_makers(registry, [token])[0], secret


def page(
    registry: Registry, caller: Identity, ref: ProjectRef, narrowed: TokenFilter, request: PageRequest
) -> Page[JobToken]:
    """A page of a project's job tokens: all for its owners, for others their own. Raises Forbidden for job tokens."""
    refuse_job(caller)
    project, sees_all = _enter(registry, caller, ref)
    found = registry.tokens.page_of_project(
        project, TokenKind.JOB, None if sees_all else caller.user_id, narrowed, request
    )
    return found.showing(_with_makers(registry, found.items))


def find(registry: Registry, caller: Identity, ref: ProjectRef, token_id: int | None) -> JobToken:
    """A job token of a project, if it is the caller's or they own the project; None: the one that was presented.

    A job token finds none but itself. Raises NotFound.
    """
    project, sees_all = _enter(registry, caller, ref)
    token = hold(registry, caller.token_id if token_id is None else token_id)
    if token is None or token.kind != TokenKind.JOB or token.project_id != project:
        raise NotFound
    if caller.job_project_id is not None:
        mine = token.id == caller.token_id
    else:
        mine = sees_all or token.user_id == caller.user_id
    if not mine:
        raise NotFound
    return _with_makers(registry, [token])[0]


def end(registry: Registry, caller: Identity, ref: ProjectRef, token_id: int | None) -> None:
    """Revoke a job token; it is refused from the next request on. Raises as `find` does."""
    revoke(registry, find(registry, caller, ref, token_id).token)


def _maker_of(registry: Registry, caller: Identity) -> int | None:
    """What the caller presented; for a browser's session, the token that it was made with, if it was by one."""
    presented = registry.tokens.by_id(caller.token_id or NOBODY)
    if presented is not None and presented.kind == TokenKind.SESSION:
        return presented.maker_id or presented.id
    return caller.token_id


def _enter(registry: Registry, caller: Identity, ref: ProjectRef) -> tuple[int, bool]:
    """The id of the project that `ref` names, and whether the caller owns it."""
    project, facts = open_project(registry, caller, ref, Action.READ)
    return project.id, effective_role(caller, facts) >= Role.OWNER


def _with_makers(registry: Registry, tokens: list[Token]) -> list[JobToken]:
    makers = registry.tokens.makers(tokens)
    return [JobToken(token, makers.get(token.maker_id or -1)) for token in tokens]
