"""What the groups of a provider give to the people in them, as administrators say."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.access.identity import Identity
from modelyard.access.policy import Role
from modelyard.errors import Conflict, InvalidFields, NotFound
from modelyard.registry.repository import Registry
from modelyard.registry.tables import ProviderGroup
from modelyard.services.identity.providers import MAX_TEXT, find
from modelyard.services.people.names import is_path_segment

ADMIN = 60  # GitLab's access level of administrators, beside those of roles
ENTRY = 0  # of who may come in, and no more
MAX_GROUPS = 1000  # of a provider


def give(
    registry: Registry, caller: Identity, key: str | int, group: str, path: str, access_level: int
) -> ProviderGroup:
    """Say what a provider's group gives: ENTRY or ADMIN without a path, else a role in what is at the path or below.

    Raises as `find`, InvalidFields, and Conflict where there are too many.
    """
    registry.locks.issuers()
    provider, _issuer = find(registry, caller, key)
    group, path = plain_group(group), path.strip("/")
    _hold_group(group, path, access_level)
    groups = registry.sign_on.groups(provider.id)
    same = next((each for each in groups if (each.name, each.path) == (group, path)), None)
    if same is None and len(groups) >= MAX_GROUPS:
        raise Conflict(f"There are {MAX_GROUPS} groups already")
    if same is None:
        same = ProviderGroup(provider_id=provider.id, name=group, path=path, access_level=access_level)
        registry.session.add(same)
    same.access_level = access_level
    registry.session.flush()
    facts = {"add": "group", "group": group, "path": path, "access_level": access_level}
    registry.audit.note("sign_on_group_created", provider, facts)
    return same


def take_back(registry: Registry, caller: Identity, key: str | int, group: str, path: str | None) -> int:
    """Let a provider's group give nothing any more, at a path or at all; how many of its rows went.

    What it gave ends as its people sign in next. Raises as `find`, and NotFound where it gave nothing.
    """
    registry.locks.issuers()
    provider, _issuer = find(registry, caller, key)
    group = plain_group(group)
    gone = [each for each in registry.sign_on.groups(provider.id) if each.name == group and path in (None, each.path)]
    if not gone:
        raise NotFound("Group")
    for each in gone:
        registry.session.delete(each)
    registry.audit.note("sign_on_group_destroyed", provider, {"remove": "group", "group": group, "path": path or ""})
    return len(gone)


def remove_group(registry: Registry, caller: Identity, key: str | int, group_id: int) -> None:
    """Let a group no more give what the row of that id says, as `take_back`."""
    found = next((each for each in groups(registry, caller, key) if each.id == group_id), None)
    if found is None:
        raise NotFound("Group")
    take_back(registry, caller, key, found.name, found.path)


def groups(registry: Registry, caller: Identity, key: str | int) -> list[ProviderGroup]:
    """What a provider's groups give. Raises as `find`."""
    return registry.sign_on.groups(find(registry, caller, key)[0].id)


def plain_group(name: str) -> str:
    """A group's name without the slash that Keycloak begins paths of groups with."""
    return name.removeprefix("/")


def _hold_group(group: str, path: str, access_level: int) -> None:
    levels: Sequence[int] = [*Role] if path else [ENTRY, ADMIN]
    if not 0 < len(group) <= MAX_TEXT or not group.isprintable():
        raise InvalidFields(group=f"must be printable, of 1 to {MAX_TEXT} characters")
    if path and not all(is_path_segment(part) for part in path.split("/")):
        raise InvalidFields(path="must be that of a project, or of a namespace")
    if access_level not in levels:
        raise InvalidFields(access_level="must be a role where there is a path, and none without")
