"""What somebody's groups at a provider give them here: each sign-in gives and takes back what groups gave, and leaves
alone what people gave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from modelyard.access.policy import Role
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Project, ProviderGroup, SignOnProvider, User, UserIdentity
from modelyard.services.identity.id_tokens import Claims
from modelyard.services.identity.provider_groups import ADMIN, plain_group
from modelyard.services.people import members

log = structlog.get_logger()

MAX_GROUPS = 5000  # of one person that are looked at


class Overage(Exception):
    """The provider says that there are more groups than a token has room for, and not which (Entra above 200)."""


def told(claims: Claims, name: str) -> list[str]:
    """The groups in a claim, whose name may lead into others by dots; a text is a list of one. Raises Overage."""
    value = _value(claims, name)
    elsewhere = claims.get("_claim_names")
    if value is None and isinstance(elsewhere, Mapping) and name.partition(".")[0] in elsewhere:
        raise Overage
    if value is None and claims.get("hasgroups") in (True, "true"):
        raise Overage
    listed = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [plain_group(each) for each in listed[:MAX_GROUPS] if isinstance(each, str)]


def given_to(names: Sequence[str], groups: Sequence[ProviderGroup]) -> list[ProviderGroup]:
    """What these groups give, of all that a provider's groups give."""
    mine = frozenset(names)
    return [each for each in groups if each.name in mine]


def apply(
    registry: Registry, provider: SignOnProvider, user: User, identity: UserIdentity, given: Sequence[ProviderGroup]
) -> None:
    """Give a user what their groups give, and take back what groups of this provider gave before."""
    _administer(registry, user, identity, wanted=any(each.access_level == ADMIN for each in given))
    wanted = _roles(registry, given)
    ours = registry.sign_on.given_by(provider.id, user.id)
    for project_id in sorted({*wanted, *ours}):
        registry.locks.project(project_id)
        project = registry.projects.by_id(project_id)
        if project is not None:
            _set(registry, provider, user, project, wanted.get(project_id))


def _roles(registry: Registry, given: Sequence[ProviderGroup]) -> dict[int, int]:
    """The highest role of those that groups give, by the ids of projects."""
    found: dict[int, int] = {}
    rows = [each for each in given if each.path]
    for project in registry.sign_on.projects(sorted({each.path for each in rows})):
        key = project.path_key
        levels = [e.access_level for e in rows if key == e.path.lower() or key.startswith(f"{e.path.lower()}/")]
        found[project.id] = max(levels)
    return found


def _set(registry: Registry, provider: SignOnProvider, user: User, project: Project, level: int | None) -> None:
    """Let a user have a role in a project by their groups, or none; a role that somebody here gave stays."""
    found = registry.members.find(project.id, user.id)
    if found is None:
        if level is not None:
            added = registry.members.add(project.id, user.id, level)
            added.provider_id = provider.id
            members.note_added(registry, added, user, project)
        return
    member = found[0]
    if member.provider_id != provider.id or member.access_level == level:
        return
    if level is None:
        facts = {"remove": "user_access", "as": Role(member.access_level).name.capitalize(), "by": provider.name}
        registry.audit.note("member_destroyed", user, facts, entity=project)
        registry.members.delete(member)
    else:
        before, member.access_level = member.access_level, level
        names = [{"access_level": Role(each).name.capitalize()} for each in (before, level)]
        registry.audit.note_changes("member_updated", user, *names, entity=project)


def _administer(registry: Registry, user: User, identity: UserIdentity, *, wanted: bool) -> None:
    """Let a user administer by their groups, or no more where groups had made them; the last administrator stays."""
    if wanted == identity.made_admin or (wanted and user.admin):
        return
    registry.locks.accounts()
    if not wanted and user.admin and not registry.sign_on.has_other_admins(user):
        log.warning("the last administrator stays, though no group says so any more", username=user.username)
        return
    registry.audit.note_changes("user_updated", user, {"admin": user.admin}, {"admin": wanted})
    user.admin = identity.made_admin = wanted


def _value(claims: Claims, name: str) -> object:
    if name in claims:
        return claims[name]
    value: object = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
