"""The device grant (RFC 8628): a command line shows a code, a person confirms it on a page, and it gets a token.

The code that a person types is short, so it is good for ten minutes, for a page that a session opens, and for few wrong
tries. The one by which the device asks has 256 bits, and is kept as SHA-256 only.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from modelyard import origin
from modelyard.access.identity import Identity, UserState
from modelyard.access.tokens import Scope, TokenKind, digest_of
from modelyard.clock import DAY, Milliseconds, now
from modelyard.errors import Forbidden, NotFound, OAuthError
from modelyard.registry.repository import Registry
from modelyard.registry.tables import DeviceGrant, Token, User
from modelyard.services.people import accounts
from modelyard.services.people.credentials import Made, store
from modelyard.terms.paths import NOBODY, is_printable

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so no words; nothing that looks like something else (section 6.1)
DIGITS = 8
INTERVAL = 5  # seconds
LIFETIME: Milliseconds = 600_000
TOKEN_LIFETIME: Milliseconds = 30 * DAY
KEPT: Milliseconds = 3_600_000  # after its end, for which a code is told from one that there never was
MAX_WAITING = 10_000  # codes at a time
EARLY: Milliseconds = 1000  # by which a clock may differ from another
CLIENTS = {"myd": "myd", "26be6b09-91c5-47da-9861-d2d2bb7a7e36": "Hugging Face CLI"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a device asks for."""

    client: str
    scopes: str


@dataclass(frozen=True, slots=True)
class Begun:
    """The two codes of a device."""

    device_code: str
    user_code: str


def wanted(client: str, scope: str) -> Wanted:
    """What is asked for, in words. Raises OAuthError."""
    if not client or not is_printable(client):
        raise OAuthError("invalid_request", "client_id is invalid")
    scopes = scope.split() or [Scope.API]
    if not set(scopes) <= set(Scope):
        raise OAuthError("invalid_scope", f"There are the scopes {', '.join(Scope)}")
    return Wanted(client, " ".join(dict.fromkeys(scopes)))


def begin(registry: Registry, new: Wanted) -> Begun:
    """Keep two new codes for a device. Raises OAuthError where too many wait already."""
    registry.devices.forget(now() - KEPT)
    if registry.devices.waiting() >= MAX_WAITING:
        raise OAuthError("temporarily_unavailable", "Too many devices wait for their users", 503, {"Retry-After": "60"})
    begun = Begun(secrets.token_urlsafe(32), "".join(secrets.choice(ALPHABET) for _ in range(DIGITS)))
    registry.devices.insert(
        DeviceGrant(
            digest=digest_of(begun.device_code),
            user_code=begun.user_code,
            client=new.client,
            scopes=new.scopes,
            address=origin.current().address or "",
            created_at=now(),
            expires_at=now() + LIFETIME,
            interval=INTERVAL,
        )
    )
    return begun


def shown(user_code: str) -> str:
    """A code as people read it: `BCDF-GHJK`."""
    return f"{user_code[: DIGITS // 2]}-{user_code[DIGITS // 2 :]}"


def typed(text: str) -> str:
    """A code as somebody has typed it, whatever is between its letters; empty for what is none."""
    code = "".join(c for c in text.upper() if c not in "- \t")
    return code if len(code) == DIGITS and set(code) <= set(ALPHABET) else ""


def called(client: str) -> str:
    """The name of a program by the id that it says to have, which anybody may say."""
    return CLIENTS.get(client, client)


def find(registry: Registry, caller: Identity, user_code: str) -> DeviceGrant:
    """The device that waits for the person to confirm a code. Raises NotFound, and Forbidden for who is no person."""
    _require_person(caller)
    found = registry.devices.by_user_code(typed(user_code))
    if found is None or found.approved is not None or found.expires_at <= now():
        raise NotFound
    return found


def decide(registry: Registry, caller: Identity, user_code: str, *, approved: bool) -> DeviceGrant:
    """Let a device in, as the caller, or not. Raises as `find`."""
    found = find(registry, caller, user_code)
    presented = registry.tokens.by_id(caller.token_id or NOBODY)
    of_session = presented is not None and presented.kind == TokenKind.SESSION
    maker = presented.maker_id if presented is not None and of_session else caller.token_id
    if not registry.devices.decide(found, caller.user_id or NOBODY, maker, approved=approved):
        raise NotFound  # another was first
    facts = {"client": found.client, "scopes": found.scopes, "device_address": found.address}
    user = accounts.find(registry, caller.user_id or NOBODY)
    registry.audit.note("device_authorized" if approved else "device_denied", user, facts)
    return found


def check(registry: Registry, device_code: str, client: str) -> None:
    """Raise OAuthError for a code that no device of that client has, before anything is written."""
    found = registry.devices.by_digest(digest_of(device_code))
    if found is None or found.client != client:
        raise OAuthError("invalid_grant", "The device code is not known, or was used")


def redeem(registry: Registry, device_code: str) -> Made | OAuthError:
    """The token of a device whose code was confirmed, once; or why there is none (section 3.5), which is to be kept."""
    found = registry.devices.by_digest(digest_of(device_code))
    if found is None:
        return OAuthError("invalid_grant", "The device code is not known, or was used")
    if found.approved is None:
        return _wait(registry, found)
    user = registry.users.by_id(found.user_id or NOBODY)
    if not found.approved or user is None or not _may_act(registry, user, found):
        return OAuthError("access_denied", "The request was denied")
    if found.expires_at <= now():
        return _expired()
    if not registry.devices.take(found):
        return OAuthError("invalid_grant", "The device code is not known, or was used")
    return _make(registry, user, found)


def _wait(registry: Registry, found: DeviceGrant) -> OAuthError:
    at = now()
    if found.expires_at <= at:
        return _expired()
    early = found.polled_at is not None and at < found.polled_at + found.interval * 1000 - EARLY
    interval = found.interval + INTERVAL if early else found.interval
    registry.devices.polled(found, at, interval)
    if early:
        return OAuthError("slow_down", f"Ask every {interval} seconds")
    return OAuthError("authorization_pending", "The request was not confirmed yet")


def _expired() -> OAuthError:
    return OAuthError("expired_token", "The device code has expired")


def _may_act(registry: Registry, user: User, found: DeviceGrant) -> bool:
    """Whether who has confirmed may still come in, by what they came in with."""
    if user.state != UserState.ACTIVE:
        return False
    if found.maker_id is None:
        return True
    maker = registry.tokens.facts_by_id(found.maker_id)
    return maker is not None and maker.revoked_at is None and (maker.expires_at is None or maker.expires_at > now())


def _make(registry: Registry, user: User, found: DeviceGrant) -> Made:
    """A personal token that ends by itself, and with what its user had signed in with."""
    registry.act(Identity(user.id, user.username, user.admin, user.bot, may_write=True))
    maker = registry.tokens.facts_by_id(found.maker_id or NOBODY)
    ends = [now() + TOKEN_LIFETIME, *([maker.expires_at] if maker is not None and maker.expires_at else [])]
    return store(
        registry,
        Token(
            user_id=user.id,
            maker_id=found.maker_id,
            kind=TokenKind.PERSONAL,
            name=called(found.client),
            description=f"Made for a device at {found.address}",
            scopes=found.scopes,
            created_at=now(),
            expires_at=min(ends),
        ),
    )


def _require_person(caller: Identity) -> None:
    if caller.bot or caller.job_project_id is not None:
        raise Forbidden("Only people let devices in")
