"""Versions follow their source: a file that is uploaded there later reaches them, as another name for the same blob.

A version stops with the first change of its own files, an upload or a deletion, and keeps what it has. What is deleted
at the source stays in the version. In another project it goes on only while whoever made it may read the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.access.identity import Identity, UserState
from modelyard.access.policy import sees
from modelyard.registry.files.following import Followed, Follower
from modelyard.registry.files.locations import Location, StoredFile
from modelyard.registry.repository import Registry
from modelyard.services.files.owners import Owner
from modelyard.terms.paths import OwnerKind, OwnerRef

MAX_FOLLOWERS = 200  # of one directory: each upload there writes a row for each of them
TOO_MANY = f"{MAX_FOLLOWERS} versions follow the source already: what is logged there later does not reach this one"


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that a version gets because it follows: the package, and the name in it."""

    package_id: int
    name: str


def choose(registry: Registry, owner: Owner, directory: str) -> Followed:
    """What a new version follows that gets the files in a directory of the owner's; nothing where there is no room.

    A version that follows others itself lends what it follows, as MLflow does. From now on nobody uploads there until
    the end of the transaction: what is not there yet will meet a follower.
    """
    followed = Followed(owner.candidate_id, None if owner.candidate_id else owner.logged_model_id, directory)
    lender = registry.versions.by_id(owner.project_id, owner.version_id) if owner.version_id is not None else None
    if lender is not None:
        further = "/".join(filter(None, (lender.followed_directory, directory)))
        lent = Followed(lender.followed_candidate_id, lender.followed_model_id, further)
        if (home := registry.following.home_of(lent)) is not None:
            registry.locks.project(home)
            followed = lent
    return followed if registry.following.count(followed) < MAX_FOLLOWERS else Followed()


def stop(registry: Registry, version_id: int | None) -> None:
    """Let a version follow nothing any more, as its own files change; nothing for files that are no version's."""
    if version_id is not None:
        registry.following.stop(version_id)


def hold(registry: Registry, location: Location, owner: OwnerRef, name: str) -> list[Copy]:
    """What else an upload makes: copies for all that follow. A version that is uploaded to stops following.

    In a write transaction, before the turn for a project's storage: from now on nobody who follows stops, and nobody
    passes anything on to the version; what is there must be looked at again.
    """
    stop(registry, _version_at(registry, location, owner))
    found = registry.following.followers(_followed_at(registry, location, owner), _directories(name), hold=True)
    return _copies([follower for follower in found if _may_follow(registry, location, follower)], name)


def copies_beside(registry: Registry, location: Location, owner: OwnerRef, name: str) -> int:
    """How many copies an upload would make within its own project."""
    followers = registry.following.followers(_followed_at(registry, location, owner), _directories(name))
    own = location.project.id if location.project is not None else None
    return sum(follower.project_id == own for follower in followers)


def pass_on(registry: Registry, copies: Sequence[Copy], file: StoredFile, caller: Identity) -> None:
    """Give those that follow the file that was uploaded."""
    places = [(copy.package_id, copy.name) for copy in copies]
    registry.packages.add_copies(places, file.sha256, file.size, caller.user_id)


def _followed_at(registry: Registry, location: Location, owner: OwnerRef) -> Followed:
    """Whom those follow who follow what was located."""
    if owner.kind is OwnerKind.LOGGED_MODEL:
        return Followed(logged_model_id=location.owner_id)
    if owner.kind is OwnerKind.CANDIDATE or location.owner_id is None:
        return Followed(location.owner_id)
    candidate = registry.runs.of_versions([location.owner_id]).get(location.owner_id)
    return Followed(candidate.id if candidate is not None else None)


def _version_at(registry: Registry, location: Location, owner: OwnerRef) -> int | None:
    """The id of the version whose files were located, also by its candidate."""
    if owner.kind is OwnerKind.CANDIDATE and location.owner_id is not None:
        return registry.runs.by_id(location.owner_id).model_version_id
    return location.owner_id if owner.kind is OwnerKind.VERSION else None


def _may_follow(registry: Registry, location: Location, follower: Follower) -> bool:
    """Whether a version may have the file; in another project it stops following where its maker may not read."""
    project = location.project
    if project is None or follower.project_id == project.id:
        return True
    user = registry.users.by_id(follower.creator_id) if follower.creator_id is not None else None
    known = user is not None and user.state == UserState.ACTIVE
    maker = Identity(user.id, user.username, admin=user.admin, bot=user.bot) if user and known else Identity()
    found = registry.projects.find(project.id, maker.user_id)
    if found is not None and sees(maker, found[1]):
        return True
    registry.following.stop(follower.version_id)
    return False


def _directories(name: str) -> list[str]:
    """All directories that a file is in, the top first."""
    segments = name.split("/")
    return ["/".join(segments[:depth]) for depth in range(len(segments))]


def _copies(followers: Sequence[Follower], name: str) -> list[Copy]:
    skipped = ((follower, len(follower.directory) + bool(follower.directory)) for follower in followers)
    return [Copy(follower.package_id, name[length:]) for follower, length in skipped]
