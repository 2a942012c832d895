"""What is told before an upload: how each file is to come, and whether it is there already.

It is the last step of which the user reads the refusal, so everything is checked here that is known by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.access.identity import Identity
from modelyard.errors import BadRequest
from modelyard.registry.repository import Registry
from modelyard.services.hub.commits import Commits
from modelyard.services.hub.committing import require_branch
from modelyard.services.hub.objects import MAX_SIZE, Objects
from modelyard.services.hub.revisions import find_version
from modelyard.services.hub.writing import check_name, writable
from modelyard.terms.repositories import RepositoryId

REGULAR_BYTES = 64 * 1024  # a file of so many may come with its commit; more, and clients would hold gigabytes


@dataclass(frozen=True, slots=True)
class Announced:
    """A file that a client means to send."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Advice:
    """How a file is to come: with the commit, or before it; and the SHA-256 of the one of its name that is there."""

    name: str
    regular: bool
    sha256: str | None


def advise(
    registry: Registry,
    caller: Identity,
    asked: RepositoryId | None,
    revision: str,
    files: Sequence[Announced],
    commits: Commits,
    objects: Objects,
) -> list[Advice]:
    """What to do with each file.

    Raises as `writing.writable`, RevisionNotFound, BadRequest, FileTooLarge and OverQuota.
    """
    repository = writable(registry, caller, asked)
    require_branch(revision)
    snapshot = commits.current(registry, repository, find_version(registry, repository.model, revision))
    holds = objects.tickets.holds(registry, repository.facts.id)
    advices = []
    for file in files:
        check_name(file.name)
        if not 0 <= file.size <= MAX_SIZE:
            raise BadRequest.plain(f"{file.name}: 'size' is to be a number of bytes")
        there = snapshot.manifest.find(file.name)
        known = there is not None and there.size == file.size and not registry.blobs.is_damaged(there.sha256)
        if not known:
            holds(file.size)
        regular = file.size <= REGULAR_BYTES
        advices.append(Advice(file.name, regular, there.sha256 if there and known and not regular else None))
    return advices
