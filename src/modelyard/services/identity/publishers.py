"""Publishers whom a project trusts: its maintainers say whose jobs may act in it, and as what."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from modelyard.access.identity import Identity
from modelyard.access.policy import Action, Role, effective_role
from modelyard.clock import Milliseconds
from modelyard.errors import Conflict, Forbidden, InvalidFields, NotFound
from modelyard.registry.identity.publishers import Seen
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Issuer, TrustedPublisher
from modelyard.services.identity.ending import told
from modelyard.services.identity.issuers import named
from modelyard.services.identity.jobs import HEADS, RULES, SUBJECT, Rules, subject_of
from modelyard.services.identity.matching import ANY_REST
from modelyard.services.people import members
from modelyard.services.people.authentication import open_project
from modelyard.services.tracking.rows_quota import RowsQuota
from modelyard.terms.paging import Page, PageRequest
from modelyard.terms.paths import ProjectRef

MAX_PUBLISHERS = 100  # of a project
MAX_CLAIMS = 20
MAX_TEXT = 255  # characters of a name or a value
LEAST_LIFETIME: Milliseconds = 900_000
LIFETIME: Milliseconds = 3_600_000
MOST_LIFETIME: Milliseconds = 43_200_000
ROLES = (Role.GUEST, Role.PLANNER, Role.REPORTER, Role.DEVELOPER)
_IDS = frozenset({"project_id", "repository_id", "repository_owner_id", "namespace_id", "actor_id"})
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewPublisher:
    """Whose jobs are to be trusted: those whose claims are these, of that issuer (its name, URL or id)."""

    issuer: str | int
    claims: Mapping[str, str]
    name: str = ""
    ref: str = ""  # `main`, `refs/tags/v*`
    ref_protected: bool | None = None  # default: where the issuer knows protection
    environment: str = ""
    events: tuple[str, ...] = ()  # those that else are refused
    access_level: Role = Role.DEVELOPER
    lifetime: Milliseconds = LIFETIME
    source: str = field(default="")  # what the jobs' project is called: told to people, never compared


def page(registry: Registry, caller: Identity, ref: ProjectRef, request: PageRequest) -> Page[Seen]:
    """A page of the publishers that a project trusts, for its maintainers; there is none without an issuer."""
    project, _facts = open_project(registry, caller, ref, Action.MANAGE)
    _require_issuers(registry)
    return registry.publishers.of_project(project.id, request)


def create(registry: Registry, caller: Identity, ref: ProjectRef, new: NewPublisher, rows: RowsQuota) -> Seen:
    """Trust a publisher, for maintainers who are people, up to their own role.

    Raises NotFound for an issuer that is not listed for jobs, Forbidden for a role above the caller's, InvalidFields,
    and Conflict for one too many or one that is trusted already.
    """
    project, facts = open_project(registry, caller, ref, Action.GRANT)
    _require_issuers(registry)
    if new.access_level > effective_role(caller, facts):
        raise Forbidden("The access level is above your own")
    issuer = named(registry.issuers, new.issuer)
    registry.locks.issuer(issuer.id)
    if not issuer.jobs:
        raise NotFound("Issuer")
    publisher = _publisher(new, issuer)
    if reasons := dict(_faults(publisher, new, RULES[issuer.kind])):
        raise InvalidFields(**reasons)
    _refuse_more(registry, project.id, publisher)
    rows.hold(registry, project.id)
    bot = registry.users.add(f"project_{project.id}_bot_{secrets.token_hex(16)}", name=publisher.name, bot=True)
    members.note_added(registry, registry.members.add(project.id, bot.id, new.access_level), bot)
    publisher.project_id, publisher.user_id, publisher.creator_id = project.id, bot.id, caller.user_id
    registry.publishers.add(publisher)
    registry.audit.note("trusted_publisher_created", publisher, {"add": "trusted_publisher", **told(publisher, issuer)})
    return publisher, issuer


def delete(registry: Registry, caller: Identity, ref: ProjectRef, publisher_id: int) -> None:
    """Trust a publisher no more, for maintainers: what its jobs have works no more from the next request on."""
    project, _facts = open_project(registry, caller, ref, Action.MANAGE)
    publisher = registry.publishers.by_id(publisher_id)
    if publisher is None or publisher.project_id != project.id:
        raise NotFound
    registry.locks.issuer(publisher.issuer_id)
    issuer = registry.issuers.by_id(publisher.issuer_id)
    facts = told(publisher, issuer) if issuer is not None else {}
    registry.audit.note("trusted_publisher_destroyed", publisher, {"remove": "trusted_publisher", **facts})
    registry.publishers.revoke_tokens([publisher.id])
    if membership := registry.members.find(project.id, publisher.user_id):
        members.end(registry, *membership)
    registry.publishers.delete(publisher)


def _require_issuers(registry: Registry) -> None:
    if not registry.issuers.any():
        raise NotFound


def _publisher(new: NewPublisher, issuer: Issuer) -> TrustedPublisher:
    rules, claims = RULES[issuer.kind], dict(sorted(new.claims.items()))
    ref = new.ref if not new.ref or new.ref.startswith("refs/") else HEADS + new.ref
    protected = rules.refs if new.ref_protected is None else new.ref_protected
    known = all(name in claims for name in rules.required)
    return TrustedPublisher(
        issuer_id=issuer.id,
        name=new.name or "".join(filter(str.isprintable, " ".join([issuer.name, *claims.values()])))[:MAX_TEXT],
        subject=subject_of(issuer.kind, claims) if known else "",
        claims=orjson.dumps(claims).decode(),
        ref=ref,
        ref_protected=protected,
        environment=new.environment,
        events=" ".join(dict.fromkeys(new.events)),
        access_level=new.access_level,
        lifetime=new.lifetime,
        source=new.source,
    )


def _faults(publisher: TrustedPublisher, new: NewPublisher, rules: Rules) -> Iterator[tuple[str, str]]:
    for name, text in (("name", publisher.name), ("ref", publisher.ref), ("environment", publisher.environment)):
        if len(text) > MAX_TEXT or not (text.isprintable() or not text):
            yield name, f"must be printable, of at most {MAX_TEXT} characters"
    if reason := _fault_of_claims(new.claims, rules):
        yield "claims", reason
    if new.access_level not in ROLES:
        yield "access_level", "must be at most 30, a developer's"
    if not LEAST_LIFETIME <= new.lifetime <= MOST_LIFETIME:
        yield "expires_in", f"must be {LEAST_LIFETIME // 1000} to {MOST_LIFETIME // 1000} seconds"
    if not rules.refs:
        for name, value in (
            ("ref", publisher.ref),
            ("ref_protected", publisher.ref_protected),
            ("environment", new.environment),
        ):
            if value:
                yield name, "is nothing that this kind of issuer tells"
    elif ANY_REST in publisher.ref[:-1]:
        yield "ref", "may have one * only, at its end"
    elif publisher.ref.endswith(ANY_REST) and not publisher.ref_protected:
        yield "ref", "may end with * only where refs must be protected"
    if not set(new.events) <= rules.refused_events:
        yield "events", f"must be of {', '.join(sorted(rules.refused_events))}" if rules.event else "are not told here"


def _fault_of_claims(claims: Mapping[str, str], rules: Rules) -> str:
    allowed = None if rules.bindable is None else rules.bindable | set(rules.required)
    if missing := [name for name in rules.required if not claims.get(name)]:
        return f"must have {' and '.join(missing)}"
    if set(claims) <= {"aud", "iss"}:  # what all tokens of the issuer have
        return f"must have {SUBJECT} or others that name what is trusted"
    if len(claims) > MAX_CLAIMS:
        return f"must be at most {MAX_CLAIMS}"
    if allowed is not None and (unknown := sorted(set(claims) - allowed)):
        return f"cannot have {unknown[0][:MAX_TEXT]}; known are {', '.join(sorted(allowed))}"
    if not all(0 < len(text) <= MAX_TEXT and text.isprintable() for item in claims.items() for text in item):
        return f"must be printable texts of 1 to {MAX_TEXT} characters"
    wrong = [name for name in _IDS & set(claims) if allowed is not None and not _ID.fullmatch(claims[name])]
    return f"{wrong[0]} must be a number" if wrong else ""


def _refuse_more(registry: Registry, project_id: int, publisher: TrustedPublisher) -> None:
    if registry.publishers.count(project_id) >= MAX_PUBLISHERS:
        raise Conflict(f"The project has {MAX_PUBLISHERS} trusted publishers already")
    for other in registry.publishers.candidates(publisher.issuer_id, [publisher.subject]):
        if other.project.id == project_id and _terms(other.publisher) == _terms(publisher):
            raise Conflict("The project trusts this publisher already")


def _terms(publisher: TrustedPublisher) -> tuple[object, ...]:
    return publisher.claims, publisher.ref, publisher.ref_protected, publisher.environment, publisher.events
