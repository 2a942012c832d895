"""Sign-ins on their way to a provider and back (RFC 9700 section 2.1.1): each is of one browser, and comes back once.

The browser keeps one secret in a cookie; nonce and verifier follow from it and from the state, so that nothing here,
nor in the database, lets anybody finish what another has begun.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from modelyard.access.tokens import digest_of
from modelyard.clock import Milliseconds, now
from modelyard.errors import TooManyRequests
from modelyard.registry.identity.sign_on import Taken
from modelyard.registry.repository import Registry
from modelyard.registry.tables import SignOnState

LIFETIME: Milliseconds = 600_000
MAX_WAITING = 10_000  # sign-ins at a time
MAX_RETURN_TO = 2048  # characters
RETRY_SECONDS = 60
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Journey:
    """One sign-in: what its browser keeps, and what is sent along."""

    browser: str
    state: str

    @classmethod
    def new(cls, browser: str) -> Journey:
        """Another one of a browser, by the secret that it has, if that is one."""
        kept = browser if _SECRET.fullmatch(browser) else secrets.token_urlsafe(32)
        return cls(kept, secrets.token_urlsafe(32))

    @property
    def nonce(self) -> str:
        """What the id token must say (OpenID Connect Core section 3.1.2.1)."""
        return self._derived(b"nonce")

    @property
    def verifier(self) -> str:
        """What only who has begun can send with the code (RFC 7636)."""
        return self._derived(b"verifier")

    @property
    def challenge(self) -> str:
        """The SHA-256 of the verifier, by the method S256."""
        return _encoded(hashlib.sha256(self.verifier.encode()).digest())

    def _derived(self, purpose: bytes) -> str:
        return _encoded(hmac.digest(self.browser.encode(), purpose + b"\n" + self.state.encode(), hashlib.sha256))


def begin(registry: Registry, journey: Journey, provider_id: int, return_to: str, user_id: int | None) -> None:
    """Keep a sign-in that goes to a provider; with a user to link an account of. Raises TooManyRequests."""
    registry.sign_on.forget(now())
    if registry.sign_on.waiting() >= MAX_WAITING:
        raise TooManyRequests("Too many people sign in at this moment", RETRY_SECONDS)
    registry.sign_on.insert(
        SignOnState(
            digest=digest_of(journey.state),
            browser=digest_of(journey.browser),
            provider_id=provider_id,
            return_to=return_to if len(return_to) <= MAX_RETURN_TO else "/",
            user_id=user_id,
            expires_at=now() + LIFETIME,
        )
    )


def knows(registry: Registry, journey: Journey, provider_id: int) -> bool:
    """Whether `take` may find a sign-in; it is asked before anything is written, as anybody may come back."""
    return registry.sign_on.knows(digest_of(journey.state), digest_of(journey.browser), provider_id)


def take(registry: Registry, journey: Journey, provider_id: int) -> Taken | None:
    """A sign-in that has come back to its browser from its provider, in time and for the first time."""
    return registry.sign_on.take(digest_of(journey.state), digest_of(journey.browser), provider_id)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
