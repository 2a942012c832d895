"""Whose a credential is: the facts of a token and its user, judged once, become an Identity."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from modelyard.access.tokens import Scope, TokenKind
from modelyard.clock import Milliseconds
from modelyard.errors import Forbidden, InsufficientScope, TokenExpired, TokenRevoked, Unauthorized


class UserState(StrEnum):
    """GitLab's states of an account."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What the registry knows of a presented token and of the user whom it stands for."""

    token_id: int
    kind: str
    scopes: str  # words separated by blanks
    expires_at: Milliseconds | None
    revoked_at: Milliseconds | None
    project_id: int | None  # the one project of a job or project token
    user_id: int
    username: str
    state: str
    admin: bool
    bot: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking. `user_id` is None for an anonymous request."""

    user_id: int | None = None
    username: str = ""
    admin: bool = False
    bot: bool = False
    token_id: int | None = None
    job_project_id: int | None = None  # set for a job token: the only project where it acts
    may_write: bool = False  # whether the token's scopes cover more than reading

    @property
    def anonymous(self) -> bool:
        """Whether nobody is signed in."""
        return self.user_id is None


ANONYMOUS = Identity()
_KEPT_OUT: dict[str, str] = {UserState.DEACTIVATED: "Your account has been deactivated by your administrator."}
# Whoever can run commands beside the database owns everything in it.
OPERATOR = Identity(username="operator", admin=True, may_write=True)


def identify(facts: TokenFacts | None, at: Milliseconds) -> Identity:
    """The identity behind a presented token.

    Raises Unauthorized for a token that nobody has, TokenRevoked, TokenExpired, and Forbidden for a user who is blocked
    or deactivated.
    """
    if facts is None:
        raise Unauthorized
    if facts.revoked_at is not None:
        raise TokenRevoked
    if facts.expires_at is not None and facts.expires_at <= at:
        raise TokenExpired
    if facts.state != UserState.ACTIVE:
        raise Forbidden(_KEPT_OUT.get(facts.state, "Your account has been blocked."))
    return Identity(
        user_id=facts.user_id,
        username=facts.username,
        admin=facts.admin,
        bot=facts.bot,
        token_id=facts.token_id,
        job_project_id=facts.project_id if facts.kind == TokenKind.JOB else None,
        may_write=Scope.API in facts.scopes.split(),
    )


def require_scope(identity: Identity, *, writing: bool) -> None:
    """Refuse a read-only token where something would change: InsufficientScope names the scopes that would do."""
    if writing and not identity.anonymous and not identity.may_write:
        raise InsufficientScope(Scope.API)
