"""Where people sign in, as administrators say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from modelyard.access.identity import Identity
from modelyard.errors import Conflict, InvalidFields, NotFound
from modelyard.registry.identity.sign_on import Listed
from modelyard.registry.repository import Registry
from modelyard.registry.tables import SignOnProvider
from modelyard.services.identity import issuers
from modelyard.services.identity.issuers import NAME, IssuerFields, Terms
from modelyard.services.identity.kinds import Kind
from modelyard.services.people.authentication import require_admin

MAX_PROVIDERS = 20
MAX_TEXT = 255  # characters
MAX_SECRET = 1024
MAX_SCOPES = 20
OPENID = "openid"
_NOT_IN_SCOPES = frozenset(' "\\')


NO_FIELDS = IssuerFields()


class Provision(StrEnum):
    """For whom a provider makes accounts: nobody, who is in a group that is listed, or all of its people."""

    OFF = "off"
    GROUPS = "groups"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class NewProvider:
    """A provider to be listed. Its issuer is listed as well, unless it is already."""

    name: str
    issuer: str
    client_id: str
    label: str = ""
    secret_file: str = ""  # of the client's secret; an operator names it, nobody else
    scopes: tuple[str, ...] = (OPENID, "profile", "email")
    provision: Provision = Provision.OFF
    groups_claim: str = "groups"
    fields: IssuerFields = NO_FIELDS
    secret: str = ""  # itself, for who cannot put a file onto the server


@dataclass(frozen=True, slots=True)
class Change:
    """What is to change of a provider; None for what stays as it is."""

    label: str | None = None
    secret: str | None = None  # empty: the client has none any more; either way no file is read from now on
    scopes: tuple[str, ...] | None = None
    provision: Provision | None = None
    groups_claim: str | None = None


def listed(registry: Registry, caller: Identity) -> list[Listed]:
    """All providers, for administrators."""
    require_admin(caller)
    return registry.sign_on.listed()


def find(registry: Registry, caller: Identity, key: str | int) -> Listed:
    """The provider of that id or name, for administrators. Raises Forbidden, NotFound."""
    require_admin(caller)
    found = registry.sign_on.by_id(key) if isinstance(key, int) else registry.sign_on.by_name(key)
    if found is None:
        raise NotFound("Provider")
    return found


def create(registry: Registry, caller: Identity, new: NewProvider, terms: Terms) -> SignOnProvider:
    """List a provider. Raises Forbidden, InvalidFields, and Conflict for a name that another has."""
    require_admin(caller)
    _hold(new, terms)
    registry.locks.issuers()
    if registry.sign_on.by_name(new.name) is not None:
        raise Conflict("Another provider has this name already")
    if len(registry.sign_on.listed()) >= MAX_PROVIDERS:
        raise Conflict(f"There are {MAX_PROVIDERS} providers already")
    issuer = registry.issuers.by_url(new.issuer)
    if issuer is None:
        told = IssuerFields(
            name=new.name,
            audience=terms.external_url or new.client_id,
            algorithms=new.fields.algorithms,
            jwks_uri=new.fields.jwks_uri,
            ca=new.fields.ca,
            private=new.fields.private,
            jobs=False,
        )
        issuer = issuers.create(registry, caller, Kind.GENERIC, new.issuer, told, terms)
    elif issuer.jobs and issuer.audience == new.client_id:
        raise InvalidFields(client_id="must not be the audience of the issuer's jobs")
    provider = registry.sign_on.add(
        SignOnProvider(
            name=new.name,
            label=new.label or new.name,
            issuer_id=issuer.id,
            client_id=new.client_id,
            secret_file=new.secret_file,
            secret=new.secret or None,
            scopes=_scopes(new.scopes),
            provision=new.provision,
            groups_claim=new.groups_claim,
        )
    )
    facts = {"issuer": issuer.url, "client_id": new.client_id, "provision": new.provision}
    registry.audit.note("sign_on_provider_created", provider, {"add": "sign_on_provider", **facts})
    return provider


def update(registry: Registry, caller: Identity, key: str | int, change: Change) -> Listed:
    """Change a provider, but for its name, issuer and client id, by which others know it. Raises as `find`, and
    InvalidFields.
    """
    registry.locks.issuers()
    provider, issuer = find(registry, caller, key)
    if reasons := _faults(
        {"label": change.label or "", "groups_claim": change.groups_claim or ""}, change.secret or ""
    ):
        raise InvalidFields(**reasons)
    if change.scopes is not None and (reason := _fault_of_scopes(change.scopes)):
        raise InvalidFields(scopes=reason)
    before = _facts(provider)
    provider.label = change.label or provider.label
    provider.groups_claim = change.groups_claim or provider.groups_claim
    provider.provision = change.provision or provider.provision
    if change.scopes is not None:
        provider.scopes = _scopes(change.scopes)
    if change.secret is not None:
        provider.secret, provider.secret_file = change.secret or None, ""
        registry.audit.note("sign_on_provider_updated", provider, {"change": "client_secret"})
    registry.audit.note_changes("sign_on_provider_updated", provider, before, _facts(provider))
    registry.session.flush()
    return provider, issuer


def delete(registry: Registry, caller: Identity, key: str | int) -> None:
    """List a provider no more: its sessions end, and so do the roles that its groups gave. Raises as `find`."""
    registry.locks.issuers()
    provider, issuer = find(registry, caller, key)
    registry.audit.note("sign_on_provider_destroyed", provider, {"remove": "sign_on_provider", "issuer": issuer.url})
    registry.sign_on.end_sessions(provider.id)
    registry.sign_on.delete(provider)
    if not issuer.jobs and not registry.sign_on.uses(issuer.id):
        issuers.delete(registry, caller, issuer.id)


def _hold(new: NewProvider, terms: Terms) -> None:
    """Raise InvalidFields where a provider cannot be as it is told."""
    texts = {"label": new.label, "client_id": new.client_id, "groups_claim": new.groups_claim}
    reasons = _faults(texts, new.secret)
    if not NAME.fullmatch(new.name):
        reasons["name"] = "must be lower case letters, digits, `.`, `_` and `-`"
    if not new.client_id or new.client_id == terms.external_url:
        reasons["client_id"] = "must be there, and not be the server's URL, which is the audience of jobs"
    if new.secret_file and not Path(new.secret_file).is_absolute():
        reasons["secret_file"] = "must be an absolute path"  # noqa: S105 - a reason, no password
    if new.secret_file and new.secret:
        reasons["client_secret"] = "is of no use beside a file"  # noqa: S105 - as above
    if reason := _fault_of_scopes(new.scopes):
        reasons["scopes"] = reason
    if terms.external_url is None and not terms.loopback:
        reasons["issuer"] = "needs MODELYARD_EXTERNAL_URL, since it sends people back there"
    if reasons:
        raise InvalidFields(**reasons)


def _faults(texts: Mapping[str, str], secret: str) -> dict[str, str]:
    reasons = {
        field: f"must be printable, of at most {MAX_TEXT} characters"
        for field, text in texts.items()
        if len(text) > MAX_TEXT or not text.isprintable()
    }
    if len(secret) > MAX_SECRET or not (secret.isascii() and secret.isprintable()):  # RFC 6749 appendix A.2
        reasons["client_secret"] = f"must be printable ASCII, of at most {MAX_SECRET} characters"
    return reasons


def _fault_of_scopes(scopes: Sequence[str]) -> str:
    """What RFC 6749 section 3.3 has against scopes."""
    fits = len(scopes) <= MAX_SCOPES and all(
        scope.isascii() and scope.isprintable() and 0 < len(scope) <= MAX_TEXT and not set(scope) & _NOT_IN_SCOPES
        for scope in scopes
    )
    return "" if fits else f"must be words of ASCII, {MAX_SCOPES} at most"


def _scopes(told: Sequence[str]) -> str:
    return " ".join(dict.fromkeys((OPENID, *told)))


def _facts(provider: SignOnProvider) -> dict[str, object]:
    return {name: getattr(provider, name) for name in ("label", "scopes", "provision", "groups_claim")}
