"""Who may change a repository, and how much may be added to it."""

from __future__ import annotations

from modelyard.access.identity import Identity, require_scope
from modelyard.access.policy import Action, require
from modelyard.errors import BadRequest, Forbidden, Unauthorized
from modelyard.registry.hub.uploads import Sender
from modelyard.registry.repository import Registry
from modelyard.services.hub.repositories import Repository, find_repository
from modelyard.terms.paths import MAX_NAME_BYTES, segment_faults
from modelyard.terms.repositories import RepositoryId


def writable(
    registry: Registry, caller: Identity, asked: RepositoryId | None, action: Action = Action.WRITE
) -> Repository:
    """The repository of that name, if the caller may do `action` there; they act in its project from now on.

    Raises Unauthorized, RepositoryNotFound, GatedRepository, InsufficientScope and Forbidden, in the order of checks.
    """
    if caller.anonymous:
        raise Unauthorized
    repository = find_repository(registry, caller, asked)
    require_scope(caller, writing=True)
    try:
        require(caller, repository.facts, action)
    except Forbidden as error:
        if error.body["message"] != error.default:
            raise
        raise Forbidden(f"Your role in {repository.facts.path} does not allow it") from error
    registry.act(caller, repository.facts)
    return repository


def hold(registry: Registry, caller: Identity, asked: RepositoryId | None, action: Action = Action.WRITE) -> Repository:
    """The same in a write transaction: nobody else changes anything in the project until its end."""
    repository = writable(registry, caller, asked, action)
    if registry.locks.project(repository.facts.id):
        repository = writable(registry, caller, asked, action)
    return repository


def sender_of(caller: Identity, repository: Repository) -> Sender:
    """The caller as somebody who sends to a repository. Raises Unauthorized."""
    if caller.user_id is None:
        raise Unauthorized
    return Sender(repository.facts.id, caller.user_id)


def check_name(name: str) -> None:
    """Hold a file's name, decoded, to the rule for names. Raises BadRequest."""
    *folders, last = name.split("/")
    faults = segment_faults("file_name", last)
    for folder in folders:
        faults = faults or segment_faults("path", folder)
    if faults or len(name.encode()) > MAX_NAME_BYTES:
        raise BadRequest.plain(f"'{name[:MAX_NAME_BYTES]}' is no name that a file can have here")
