"""Namespaces, which nobody makes: a person's name is one, and so is whatever the path of a project lies in."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from modelyard.access.identity import Identity
from modelyard.access.policy import Role
from modelyard.errors import NotFound
from modelyard.registry.people.users import UserFilter
from modelyard.registry.repository import Registry
from modelyard.services.people.authentication import refuse_job
from modelyard.services.people.names import is_path_segment
from modelyard.terms.paging import Page, PageRequest

# Ids of groups lie beyond those of users, and are exact in JavaScript's numbers, whose whole part has 53 bits.
FIRST_GROUP = 2**32
GROUP_BITS = 52
MAX_SUGGESTIONS = 100  # tried before none is made

NamespaceRef = int | str  # an id, or a full path whatever its case
Owners = Mapping[str, int]  # ids of users by their names in lower case


@dataclass(frozen=True, slots=True)
class Namespace:
    """A user's namespace, which has the user's id; or a group, whose id follows from its path."""

    id: int
    full_path: str
    parent_id: int | None
    owner_id: int | None = None  # of a user's namespace


@dataclass(frozen=True, slots=True)
class NamespaceFilter:
    """How a listing of namespaces is narrowed."""

    search: str = ""  # in the last part of the path
    in_full_path: bool = False  # whether `search` looks there
    owned: bool = False
    top_level: bool = False


def owners_of(registry: Registry, paths: Collection[str]) -> Owners:
    """The users in whose namespaces these paths lie."""
    return registry.users.ids_by_name({path.partition("/")[0].lower() for path in paths})


def at(path: str, owners: Owners) -> Namespace:
    """The namespace of that full path; `owners` are those of the paths in question."""
    parent = path.rpartition("/")[0]
    owner_id = None if parent else owners.get(path.lower())
    return Namespace(_id_of(path, owners), path, _id_of(parent, owners) if parent else None, owner_id)


def page(registry: Registry, caller: Identity, narrowed: NamespaceFilter, request: PageRequest) -> Page[Namespace]:
    """A page of one's own namespace and the groups with projects that one is a member of; of all for administrators.

    Users come first. Raises Forbidden for job tokens.
    """
    refuse_job(caller)
    all_of_them = caller.admin and not narrowed.owned
    people = UserFilter(
        None if all_of_them else caller.username, narrowed.search, in_emails=False, order_by="id", descending=False
    )
    users = registry.users.search(people, request)
    least = Role.OWNER if narrowed.owned else Role.GUEST
    groups = [g for g in _groups(registry, caller, None if all_of_them else least) if _matches(g, narrowed)]
    first = max(0, request.offset - users.total)
    shown = [Namespace(user.id, user.username, None, user.id) for user in users.items]
    shown += groups[first : first + request.limit - len(shown)]
    return Page(shown, users.total + len(groups), request)


def show(registry: Registry, caller: Identity, ref: NamespaceRef) -> Namespace:
    """One's own namespace, or a group with a project that one sees; any for administrators.

    Raises NotFound, Forbidden for job tokens.
    """
    refuse_job(caller)
    found = _by_id(registry, caller, ref) if isinstance(ref, int) else _by_path(registry, caller, ref)
    if found is None or (found.owner_id is not None and found.owner_id != caller.user_id and not caller.admin):
        raise NotFound("Namespace")
    return found


def existence(registry: Registry, caller: Identity, path: str, parent_id: int | None) -> tuple[bool, list[str]]:
    """Whether a path within a parent, or at the top, is taken; and if so, one that is not. Raises as `show` does."""
    refuse_job(caller)
    above = f"{show(registry, caller, parent_id).full_path}/" if parent_id is not None else ""
    if not _is_taken(registry, above + path):
        return False, []
    others = (f"{path}{number}" for number in range(1, MAX_SUGGESTIONS + 1))
    free = next((other for other in others if not _is_taken(registry, above + other)), None)
    return True, [free] if free else []


def _id_of(path: str, owners: Owners) -> int:
    key = path.lower()
    if key in owners:
        return owners[key]
    digest = hashlib.sha256(key.encode()).digest()
    return FIRST_GROUP + (int.from_bytes(digest[:8]) >> (64 - GROUP_BITS))


def _groups(registry: Registry, caller: Identity, least: Role | None) -> list[Namespace]:
    """All groups with projects in which the caller has at least that role, None: with those that it sees; by path."""
    found: dict[str, str] = {}
    for path in registry.projects.namespaces(caller, least):
        for above in _and_above(path):
            found.setdefault(above.lower(), above)
    owners = owners_of(registry, found)
    return [at(path, owners) for key, path in sorted(found.items()) if key not in owners]


def _and_above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _matches(group: Namespace, narrowed: NamespaceFilter) -> bool:
    if narrowed.top_level and group.parent_id is not None:
        return False
    text = group.full_path if narrowed.in_full_path else group.full_path.rpartition("/")[2]
    return narrowed.search.lower() in text.lower()


def _by_id(registry: Registry, caller: Identity, namespace_id: int) -> Namespace | None:
    if namespace_id < FIRST_GROUP:
        user = registry.users.by_id(namespace_id)
        return None if user is None or user.bot else Namespace(user.id, user.username, None, user.id)
    # Ids that two paths share mean neither.
    found = [group for group in _groups(registry, caller, None) if group.id == namespace_id]
    return found[0] if len(found) == 1 else None


def _by_path(registry: Registry, caller: Identity, path: str) -> Namespace | None:
    if not _is_path(path):
        return None
    user = registry.users.by_username(path)
    if user is not None:
        return None if user.bot else Namespace(user.id, user.username, None, user.id)
    spelling = registry.projects.namespace_seen(caller, path)
    return None if spelling is None else at(spelling, owners_of(registry, [spelling]))


def _is_taken(registry: Registry, path: str) -> bool:
    if not _is_path(path):
        return False
    return registry.users.by_username(path) is not None or registry.projects.in_namespace(path)


def _is_path(text: str) -> bool:
    return all(is_path_segment(part) for part in text.split("/"))
