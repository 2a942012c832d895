"""Who signs in: the account of whom a provider has let in, by issuer and subject and by nothing else."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

import structlog

from modelyard.access.identity import Identity, UserState
from modelyard.errors import Conflict, Forbidden
from modelyard.registry.identity.sign_on import Listed, Taken
from modelyard.registry.repository import Registry
from modelyard.registry.tables import SignOnProvider, SignOnSession, User, UserIdentity
from modelyard.services.identity import groups
from modelyard.services.identity.providers import Provision
from modelyard.services.identity.relying import Person
from modelyard.services.identity.user_identities import add_identity
from modelyard.services.people import accounts, sessions
from modelyard.services.people.credentials import revoke
from modelyard.services.people.names import is_path_segment, is_reserved, slug

log = structlog.get_logger()

MAX_USERNAME = 200  # characters of one that is made, which numbers may follow
MAX_NUMBER = 50  # that a name which is taken is given, before it gets letters by chance
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
SIGN_ON = Identity(username="single sign-on", admin=True, may_write=True)  # who makes accounts and gives roles then


@dataclass(frozen=True, slots=True)
class Come:
    """Somebody who has come in: the secret of their session, None where an account was linked in one that goes on."""

    user_id: int
    secret: str | None


def come_in(registry: Registry, listed: Listed, person: Person, taken: Taken, by: Identity, user_agent: str) -> Come:
    """Begin a session of whom a provider has let in, or link who they are to the account that has asked for it.

    `by`: who the browser's session is of at this moment. Raises Forbidden, with a reason for the person.
    """
    provider, issuer = listed
    registry.act(SIGN_ON)
    registry.locks.accounts()
    identity = registry.sign_on.identity(issuer.url, person.subject)
    if taken.user_id is not None:
        return _link(registry, listed, person, taken.user_id, by, identity)
    names = _groups(provider, person)
    given = groups.given_to(names or [], registry.sign_on.groups(provider.id))
    if identity is None:
        identity = _provision(registry, listed, person, known=bool(given))
    user = accounts.find(registry, identity.user_id)
    if user.state != UserState.ACTIVE:
        raise Forbidden("Your account is blocked or deactivated here")
    if names is not None:
        groups.apply(registry, provider, user, identity, given)
    _rename(registry, user, identity, person)
    made, secret = sessions.sign_in_as(registry, user, user_agent)
    registry.session.add(SignOnSession(token_id=made.id, provider_id=provider.id, id_token=person.id_token))
    return Come(user.id, secret)


def lose(registry: Registry, listed: Listed, person: Person) -> bool:
    """Take back what groups gave to a person whose account was made for a group that they are no more in, and end
    their sessions.

    Whether that is so, and they are to be kept out.
    """
    provider, issuer = listed
    identity = registry.sign_on.identity(issuer.url, person.subject)
    if identity is None or not identity.provisioned or provider.provision != Provision.GROUPS:
        return False
    names = _groups(provider, person)
    if names is None or groups.given_to(names, registry.sign_on.groups(provider.id)):
        return False
    registry.act(SIGN_ON)
    groups.apply(registry, provider, accounts.find(registry, identity.user_id), identity, [])
    for session in registry.sessions.excess(identity.user_id, 0):
        revoke(registry, session)
    return True


def note_refused(registry: Registry, provider: SignOnProvider, reason: str, subject: str) -> None:
    """Write into the audit trail that a provider let somebody in whom we did not."""
    registry.audit.note("sign_on_refused", provider, {"refuse": "sign_on", "reason": reason, "sub": subject})


def _groups(provider: SignOnProvider, person: Person) -> list[str] | None:
    """The person's groups; None where the provider has too many to tell, and what they gave stays."""
    try:
        return groups.told(person.claims, provider.groups_claim)
    except groups.Overage:
        log.warning(
            "groups are left out of an id token, since there are too many",
            provider=provider.name,
            sub=person.subject,
            advice="let the provider send only groups that are assigned to the application",
        )
        return None


def _provision(registry: Registry, listed: Listed, person: Person, *, known: bool) -> UserIdentity:
    """An account for somebody who has none. Raises Forbidden where none is made for them."""
    provider, issuer = listed
    if provider.provision == Provision.OFF or (provider.provision == Provision.GROUPS and not known):
        raise Forbidden(
            "There is no account here for you: an administrator can make one, or put you into a group that has one"
        )
    claims = person.claims
    new = accounts.NewUser(
        _free_name(registry, person),
        name=_name(claims.get("name")),
        email=_email(claims.get("email")),
    )
    user = accounts.create(registry, SIGN_ON, new)
    return add_identity(registry, user.id, issuer.url, person.subject, provisioned=True)


def _rename(registry: Registry, user: User, identity: UserIdentity, person: Person) -> None:
    """Keep up with name and e-mail address of an account that was made for the person; its user name stays."""
    if not identity.provisioned:
        return
    before = {"name": user.name, "email": user.email}
    user.name = _name(person.claims.get("name")) or user.name
    user.email = _email(person.claims.get("email")) or user.email
    registry.audit.note_changes("user_updated", user, before, {"name": user.name, "email": user.email})


def _link(
    registry: Registry, listed: Listed, person: Person, user_id: int, by: Identity, identity: UserIdentity | None
) -> Come:
    if by.user_id != user_id:
        raise Forbidden("The session that has asked for the link has ended: sign in, and ask again")
    if identity is not None and identity.user_id != user_id:
        raise Forbidden("This identity is linked to another account already")
    if identity is None:
        registry.act(by)
        try:
            add_identity(registry, user_id, listed[1].url, person.subject, provisioned=False)
        except Conflict as error:
            raise Forbidden("This identity is linked to another account already") from error
    return Come(user_id, None)


def _free_name(registry: Registry, person: Person) -> str:
    """A user name that nobody has, nor any namespace: what a person is called is no right to what others have."""
    base = _base(person)
    for number in range(1, MAX_NUMBER + 1):
        name = base if number == 1 else f"{base}-{number}"
        if registry.users.by_username(name) is None and not registry.projects.in_namespace(name):
            return name
    return f"{base}-{secrets.token_hex(4)}"


def _base(person: Person) -> str:
    for claim in ("preferred_username", "nickname", "email", "name"):
        told = person.claims.get(claim)
        name = slug(told.partition("@")[0])[:MAX_USERNAME].strip("-.") if isinstance(told, str) else ""
        if name and is_path_segment(name) and not name.isdigit():
            return f"{name}-1" if is_reserved(name) else name
    return "user"


def _name(told: object) -> str | None:
    name = told.strip() if isinstance(told, str) else ""
    return name if 0 < len(name) <= accounts.MAX_NAME and name.isprintable() else None


def _email(told: object) -> str:
    """An address as it is shown; it never says who somebody is."""
    fits = isinstance(told, str) and len(told) <= accounts.MAX_NAME and told.isprintable() and _EMAIL.fullmatch(told)
    return str(told) if fits else ""
