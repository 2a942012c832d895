"""Browsers' sessions. Each is a token of its own kind, made with the token that was typed, and ends with it.

So all that ends a token ends a session at the next request, also where lookups are remembered: its revocation or
expiry, that of what it was made with, and its user's block or removal.
"""

from __future__ import annotations

from modelyard import origin
from modelyard.access.identity import Identity, TokenFacts, UserState, identify
from modelyard.access.tokens import SESSION_IDLE, Scope, TokenKind, digest_of, new_token
from modelyard.clock import Milliseconds, now
from modelyard.errors import Forbidden, NotFound, Unauthorized
from modelyard.registry.people.sessions import SeenSession
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Token, User
from modelyard.services.people.credentials import KEPT, Made, hold, revoke, store

MAX_SESSIONS = 50  # of one user at a time; the oldest end
CODE_LIFETIME: Milliseconds = 600_000
MAX_USER_AGENT = 255  # characters
NAME = "browser"


def check(registry: Registry, token: str) -> TokenFacts:
    """What is known of a token that signs somebody in; it is asked before anything is written, as anybody may guess.

    Raises what `identity.identify` raises, and Forbidden for a token that is not a person's.
    """
    facts = registry.tokens.facts(digest_of(token))
    identify(facts, now())
    if facts is None or facts.kind != TokenKind.PERSONAL:
        raise Forbidden("Only personal access tokens sign people in")
    return facts


def sign_in(registry: Registry, token: str, user_agent: str) -> Made:
    """Begin a session with a personal access token, whose scopes it has. Raises as `check`."""
    facts = check(registry, token)
    registry.act(identify(facts, now()))
    return _begin(registry, facts, user_agent)


def check_code(registry: Registry, code: str) -> None:
    """Raise Unauthorized for a code that signs nobody in; see `check`."""
    if not registry.sessions.has_code(digest_of(code)):
        raise Unauthorized


def sign_in_by_code(registry: Registry, code: str, user_agent: str) -> Made:
    """Begin a session by a code of `make_code`, which works once. Raises Unauthorized, and as `identity.identify`."""
    user = registry.sessions.take_code(digest_of(code))
    if user is None:
        raise Unauthorized
    return sign_in_as(registry, user, user_agent)


def sign_in_as(registry: Registry, user: User, user_agent: str) -> Made:
    """Begin a session of a user who is known without a token. Raises Forbidden for one who is kept out."""
    # What a token of theirs would tell.
    facts = TokenFacts(
        0, TokenKind.SESSION, Scope.API, None, None, None, user.id, user.username, user.state, user.admin, user.bot
    )
    identify(facts, now())
    registry.act(Identity(user.id, user.username, user.admin, user.bot, may_write=True))
    return _begin(registry, facts, user_agent)


def make_code(registry: Registry, name: str) -> tuple[str, User] | None:
    """A code that signs an administrator in once, within CODE_LIFETIME: the one of that name if they are one.

    None where nobody can administer.
    """
    named = registry.users.by_username(name)
    user = named if named is not None and _administers(named) else registry.users.first_admin()
    if user is None:
        return None
    code = new_token()
    registry.sessions.add_code(digest_of(code), user.id, now() + CODE_LIFETIME)
    return code, user


def of_caller(registry: Registry, caller: Identity) -> list[SeenSession]:
    """The caller's sessions, the newest first. Raises Unauthorized."""
    if caller.user_id is None:
        raise Unauthorized
    return registry.sessions.of_user(caller.user_id, MAX_SESSIONS)


def end(registry: Registry, caller: Identity, token_id: int | None) -> None:
    """End a session of the caller's; None: the one that was presented. Raises NotFound."""
    token = hold(registry, caller.token_id if token_id is None else token_id)
    if token is None or token.kind != TokenKind.SESSION or token.user_id != caller.user_id:
        raise NotFound
    revoke(registry, token)


def end_presented(registry: Registry, credential: str) -> None:
    """End the session that a browser has had before it got another one, if it works."""
    facts = registry.tokens.facts(digest_of(credential))
    token = hold(registry, facts.token_id) if facts is not None and facts.kind == TokenKind.SESSION else None
    if facts is not None and token is not None:
        registry.act(Identity(facts.user_id, facts.username, facts.admin, facts.bot, may_write=True))
        revoke(registry, token)


def _begin(registry: Registry, facts: TokenFacts, user_agent: str) -> Made:
    at = now()
    registry.sessions.forget(facts.user_id, at - KEPT)
    for old in registry.sessions.excess(facts.user_id, MAX_SESSIONS - 1):
        revoke(registry, old)
    made = store(
        registry,
        Token(
            user_id=facts.user_id,
            maker_id=facts.token_id or None,
            kind=TokenKind.SESSION,
            name=NAME,
            scopes=facts.scopes,
            created_at=at,
            expires_at=at + SESSION_IDLE,
        ),
    )
    registry.sessions.add(made[0], origin.current().address or "", user_agent[:MAX_USER_AGENT])
    return made


def _administers(user: User) -> bool:
    return user.admin and user.state == UserState.ACTIVE
