"""Whom issuers call who of the people here."""

from __future__ import annotations

from modelyard.access.identity import Identity
from modelyard.errors import Conflict, InvalidFields, NotFound
from modelyard.registry.repository import Registry
from modelyard.registry.tables import UserIdentity
from modelyard.services.identity.providers import find
from modelyard.services.identity.verification import MAX_SUBJECT
from modelyard.services.people import accounts


def link(registry: Registry, caller: Identity, name: str, username: str, subject: str) -> UserIdentity:
    """Say that a user is who a provider calls so. Raises as `find`, InvalidFields, Conflict for one who is known."""
    _provider, issuer = find(registry, caller, name)
    user = registry.users.by_username(username)
    if user is None or user.bot:
        raise NotFound("User")
    if not 0 < len(subject) <= MAX_SUBJECT:
        raise InvalidFields(subject=f"must have 1 to {MAX_SUBJECT} characters")
    return add_identity(registry, user.id, issuer.url, subject, provisioned=False)


def unlink(registry: Registry, caller: Identity, name: str, subject: str) -> None:
    """Let whom a provider calls so be nobody here any more. Raises as `find`."""
    _provider, issuer = find(registry, caller, name)
    found = registry.sign_on.identity(issuer.url, subject)
    if found is None:
        raise NotFound("Identity")
    user = accounts.find(registry, found.user_id)
    registry.audit.note("user_identity_destroyed", user, {"remove": "identity", "issuer": issuer.url, "sub": subject})
    registry.session.delete(found)


def add_identity(registry: Registry, user_id: int, issuer: str, subject: str, *, provisioned: bool) -> UserIdentity:
    """Keep who a user is to an issuer. Raises Conflict where that is somebody already."""
    if registry.sign_on.identity(issuer, subject) is not None:
        raise Conflict("This identity is linked to an account already")
    made = UserIdentity(user_id=user_id, issuer=issuer, subject=subject, provisioned=provisioned, made_admin=False)
    registry.session.add(made)
    registry.session.flush()
    user = accounts.find(registry, user_id)
    registry.audit.note("user_identity_created", user, {"add": "identity", "issuer": issuer, "sub": subject})
    return made
