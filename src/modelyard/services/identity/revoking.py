"""Tokens that are ended by whoever has them (RFC 7009)."""

from __future__ import annotations

from modelyard.access.tokens import TokenKind
from modelyard.errors import ApiError, OAuthError
from modelyard.registry.repository import Registry
from modelyard.services.people.authentication import authenticate
from modelyard.services.people.credentials import hold, revoke

GIVEN = frozenset({TokenKind.PERSONAL, TokenKind.JOB})  # by what an exchange or a device ends in


def is_good(registry: Registry, secret: str) -> bool:
    """Whether there is anything to end: for one that is no token, or has ended, that is no error (section 2.2)."""
    try:
        authenticate(registry, secret)
    except ApiError:
        return False
    return True


def end(registry: Registry, secret: str) -> None:
    """End the token of that secret from the next request on. Raises OAuthError for a kind that is ended elsewhere."""
    try:
        token = hold(registry, authenticate(registry, secret).token_id)
    except ApiError:
        return  # another was first
    if token is not None and token.kind not in GIVEN:
        raise OAuthError("unsupported_token_type", "Tokens of projects, and sessions, are ended where they are listed")
    if token is not None:
        revoke(registry, token)
