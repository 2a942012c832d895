"""Issuers of id tokens, as administrators list them: nobody else's tokens are ever looked at."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, fields

import orjson

from modelyard.access.identity import Identity
from modelyard.errors import Conflict, InvalidFields, NotFound
from modelyard.registry.identity.issuers import IssuerRepository
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Issuer
from modelyard.services.identity import ending
from modelyard.services.identity.fetching import MAX_BYTES, Reach, refuse_url
from modelyard.services.identity.id_tokens import MAX_URL
from modelyard.services.identity.keys import ALGORITHMS, read_keys
from modelyard.services.identity.kinds import Kind
from modelyard.services.people.authentication import require_admin
from modelyard.terms.paging import Page, PageRequest

MAX_ISSUERS = 100
DEFAULT_ALGORITHMS = ("RS256",)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class IssuerFields:
    """What is told of an issuer; None for what stays as it is, or has its default where it is new."""

    name: str | None = None
    audience: str | None = None  # default: the server's external URL
    algorithms: tuple[str, ...] | None = None
    jwks: str | None = None  # keys as JSON; empty: they are fetched
    jwks_uri: str | None = None  # where they are fetched; empty: where discovery tells
    ca: str | None = None  # PEM
    private: bool | None = None
    jobs: bool | None = None
    single: bool | None = None  # default: where tokens are of CI jobs
    direct: bool | None = None
    job_tokens: bool | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What the server's settings say of issuers."""

    external_url: str | None = None
    loopback: bool = False


def page(registry: Registry, caller: Identity, request: PageRequest) -> Page[Issuer]:
    """A page of issuers, for administrators."""
    require_admin(caller)
    return registry.issuers.listed(request)


def find(registry: Registry, caller: Identity, key: str | int) -> Issuer:
    """The issuer of that id, name or URL, for administrators. Raises Forbidden, NotFound."""
    require_admin(caller)
    return named(registry.issuers, key)


def named(issuers: IssuerRepository, key: str | int) -> Issuer:
    """The issuer of that id, name or URL. Raises NotFound."""
    found = issuers.by_id(key) if isinstance(key, int) else issuers.by_name(key) or issuers.by_url(key)
    if found is None:
        raise NotFound("Issuer")
    return found


def create(registry: Registry, caller: Identity, kind: Kind, url: str, told: IssuerFields, terms: Terms) -> Issuer:
    """List an issuer, for administrators. Raises Forbidden, InvalidFields, and Conflict for one that is listed."""
    require_admin(caller)
    registry.locks.issuers()
    issuer = Issuer(
        name=told.name or kind,
        kind=kind,
        url=url,
        audience=told.audience or terms.external_url or "",
        algorithms=" ".join(DEFAULT_ALGORITHMS),
        jwks="",
        jwks_uri="",
        ca="",
        private=False,
        jobs=True,
        single=kind is not Kind.KUBERNETES and not told.direct,
        direct=False,
        job_tokens=False,
    )
    _take(issuer, told)
    _hold(registry, issuer, terms)
    if registry.issuers.count() >= MAX_ISSUERS:
        raise Conflict(f"There are {MAX_ISSUERS} issuers already")
    registry.issuers.add(issuer)
    registry.audit.note("issuer_created", issuer, {"add": "issuer", **_facts(issuer)})
    return issuer


def update(registry: Registry, caller: Identity, key: str | int, told: IssuerFields, terms: Terms) -> Issuer:
    """Change an issuer, but for its kind and URL, by which others know it. Raises as `find` and `create`."""
    registry.locks.issuers()
    issuer = find(registry, caller, key)
    before = _facts(issuer)
    with registry.session.no_autoflush:
        _take(issuer, told)
        _hold(registry, issuer, terms)
    after = _facts(issuer)
    registry.audit.note_changes("issuer_updated", issuer, before, after)
    if any(before[name] and not after[name] for name in ("jobs", "direct", "job_tokens")):
        ending.end_tokens(registry, issuer)  # what the issuer opened in a way that is closed now
    return issuer


def delete(registry: Registry, caller: Identity, key: str | int) -> None:
    """List an issuer no more; all that it opened is closed from the next request on. Raises as `find`, and Conflict
    where people sign in at it.
    """
    registry.locks.issuers()
    issuer = find(registry, caller, key)
    if registry.sign_on.uses(issuer.id):
        raise Conflict("People sign in at this issuer: delete the provider first")
    ending.end_publishers(registry, issuer)
    registry.audit.note("issuer_destroyed", issuer, {"remove": "issuer", **_facts(issuer)})
    registry.issuers.delete(issuer)


def _take(issuer: Issuer, told: IssuerFields) -> None:
    for field in fields(told):
        value = getattr(told, field.name)
        if value is not None:
            setattr(issuer, field.name, " ".join(dict.fromkeys(value)) if isinstance(value, tuple) else value)


def _facts(issuer: Issuer) -> dict[str, object]:
    return {name: getattr(issuer, name) for name in ("kind", "url", *(each.name for each in fields(IssuerFields)))}


def _hold(registry: Registry, issuer: Issuer, terms: Terms) -> None:
    """Raise InvalidFields or Conflict where an issuer cannot be as it is told."""
    if reasons := dict(_faults(issuer, Reach(issuer.private, terms.loopback))):
        raise InvalidFields(**reasons)
    if issuer.jobs and registry.sign_on.is_client(issuer.id, issuer.audience):
        raise InvalidFields(audience="must not be what the server is called where people sign in")
    for field, other in (
        ("name", registry.issuers.by_name(issuer.name)),
        ("url", registry.issuers.by_url(issuer.url)),
        ("job_tokens", registry.issuers.of_job_tokens() if issuer.job_tokens else None),
    ):
        if other is not None and other is not issuer:
            raise Conflict(f"Another issuer has this {field} already")


def _faults(issuer: Issuer, reach: Reach) -> list[tuple[str, str]]:
    algorithms = issuer.algorithms.split()
    found = [
        ("name", "" if NAME.fullmatch(issuer.name) else "must be lower case letters, digits, `.`, `_` and `-`"),
        ("url", _fault_of_url(issuer.url, reach)),
        ("audience", _fault_of_audience(issuer.audience)),
        (
            "algorithms",
            "" if algorithms and set(algorithms) <= set(ALGORITHMS) else f"must be of {', '.join(ALGORITHMS)}",
        ),
        ("jwks_uri", _fault_of_url(issuer.jwks_uri, reach) if issuer.jwks_uri else ""),
        ("jwks", _fault_of_keys(issuer.jwks, tuple(algorithms)) if issuer.jwks else ""),
        ("ca", _fault_of_ca(issuer.ca) if issuer.ca else ""),
        ("single", "must be false where tokens are credentials" if issuer.single and issuer.direct else ""),
        ("job_tokens", "are GitLab's alone" if issuer.job_tokens and issuer.kind != Kind.GITLAB else ""),
    ]
    if issuer.jwks and issuer.jwks_uri:
        found.append(("jwks_uri", "is of no use beside jwks"))
    return [(field, reason) for field, reason in found if reason]


def _fault_of_url(url: str, reach: Reach) -> str:
    return f"must have at most {MAX_URL} characters" if len(url) > MAX_URL else refuse_url(url, reach) or ""


def _fault_of_audience(audience: str) -> str:
    if not audience:
        return "must be there, or MODELYARD_EXTERNAL_URL be set, so that it never depends on what a request says"
    return (
        ""
        if len(audience) <= MAX_URL and audience.isprintable()
        else f"must be printable, of at most {MAX_URL} characters"
    )


def _fault_of_keys(jwks: str, algorithms: tuple[str, ...]) -> str:
    if len(jwks) > MAX_BYTES:
        return f"must have at most {MAX_BYTES} bytes"
    try:
        read_keys(orjson.loads(jwks), tuple(each for each in algorithms if each in ALGORITHMS))
    except ValueError as error:
        return str(error) if not isinstance(error, orjson.JSONDecodeError) else "is no JSON"
    return ""


def _fault_of_ca(ca: str) -> str:
    try:
        ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError, TypeError):  # which is for what is not ASCII
        return "must be certificates as PEM"
    return ""
