"""Who asks, as Hugging Face's clients want to know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.access.identity import Identity, require_scope
from modelyard.access.policy import Action, Role, require
from modelyard.errors import Unauthorized
from modelyard.registry.repository import Registry
from modelyard.registry.tables import User
from modelyard.services.hub.repositories import find_repository
from modelyard.services.people import accounts
from modelyard.terms.repositories import RepositoryId, short_id

MAX_NAMESPACES = 1_000


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in caller, the name of the token that was sent, and the other namespaces that they write to."""

    user: User
    token: str
    may_write: bool
    namespaces: Sequence[str]


def describe(registry: Registry, caller: Identity) -> Caller:
    """Who a signed-in caller is. Raises NotFound."""
    user, _last_seen = accounts.current(registry, caller)
    token = registry.tokens.by_id(caller.token_id or -1)
    others = (path for path in registry.projects.namespaces(caller, Role.DEVELOPER) if path != user.username)
    told = [path for path in others if short_id(f"{path}/any") is not None]
    return Caller(user, token.name if token else "", caller.may_write, told[:MAX_NAMESPACES])


def check_access(registry: Registry, caller: Identity, asked: RepositoryId | None, action: Action) -> None:
    """Let pass whoever may do something to a repository.

    Raises RepositoryNotFound, GatedRepository, Unauthorized, InsufficientScope and Forbidden.
    """
    if caller.anonymous and action is not Action.READ:
        raise Unauthorized
    repository = find_repository(registry, caller, asked)
    require_scope(caller, writing=action is not Action.READ)
    require(caller, repository.facts, action)
