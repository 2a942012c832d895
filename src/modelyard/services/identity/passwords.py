"""Passwords of administrators, for the day when nobody else can say who they are: off until an operator sets one.

Argon2id costs memory and time on purpose: 19 MiB and 45 ms (OWASP's second choice), on two threads at most, so that
whoever guesses cannot fill the machine. A name that has none is looked at for as long as one that has.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

from modelyard.access.identity import Identity
from modelyard.clock import now
from modelyard.errors import InvalidFields, NotFound, TooManyRequests, Unauthorized
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.tables import User
from modelyard.services.people import sessions
from modelyard.services.people.authentication import require_admin
from modelyard.services.people.credentials import Made

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST, MOST = 12, 1000  # characters
THREADS = 2
MAX_WAITING = 20  # beyond which nobody waits for a thread
RETRY_SECONDS = 2
# What the password of a name that has none is held against: the digest of a text that nobody has kept.
NOBODY_S = "$argon2id$v=19$m=19456,t=2,p=1$oJ/3bGvkRI+t3gC5om4+Zg$AFXz+YDe/iSr+4mibfdhcuP9lFwCS0moMYYtqATctDs"


def change(registry: Registry, caller: Identity, name: str, password: str) -> None:
    """Set the password of an administrator, for administrators. Raises Forbidden, NotFound and InvalidFields."""
    user = _administrator(registry, caller, name)
    if not LEAST <= len(password) <= MOST:
        raise InvalidFields(password=f"must have {LEAST} to {MOST} characters")
    if user.username.lower() in password.lower():
        raise InvalidFields(password="must not have the user name in it")  # noqa: S106 - a reason, no password
    registry.passwords.put(user.id, _hasher().hash(password), now())
    registry.audit.note("user_password_updated", user, {"change": "password"})


def remove(registry: Registry, caller: Identity, name: str) -> None:
    """Take the password of a user away, whoever they are by now. Raises Forbidden and NotFound."""
    require_admin(caller)
    user = registry.users.by_username(name)
    if user is None or not registry.passwords.delete(user.id):
        raise NotFound("Password")
    registry.audit.note("user_password_destroyed", user, {"remove": "password"})


def note_refused(registry: Registry, name: str) -> None:
    """Write into the audit trail that somebody typed a wrong password of a user who has one."""
    user = registry.users.by_username(name)
    if user is not None and registry.passwords.digest(user.id) is not None:
        registry.audit.note("user_password_refused", user, {"refuse": "password"})


class Doorkeeper:
    """Looks at passwords, a few at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(THREADS, "password")
        self._waiting = 0

    async def sign_in(self, name: str, password: str, user_agent: str) -> Made:
        """A session of the administrator of that name. Raises Unauthorized, Forbidden for who may not come in, and
        TooManyRequests where too many others are looked at.
        """
        if self._waiting >= MAX_WAITING:
            raise TooManyRequests("Too many passwords are looked at", RETRY_SECONDS)
        self._waiting += 1
        try:
            digest = await self._database.read(lambda registry: _digest(registry, name))
            looked = asyncio.get_running_loop().run_in_executor(self._threads, _verify, digest, password)
            renewed = await looked
        finally:
            self._waiting -= 1
        return await self._database.write(lambda registry: _begin(registry, name, digest, renewed, user_agent))


def _verify(digest: str | None, password: str) -> str | None:
    """The password's digest by today's parameters, if it was made by others. Raises Unauthorized."""
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - few have passwords

    hasher = _hasher()
    try:
        hasher.verify(digest or NOBODY_S, password[: MOST + 1])
    except (VerificationError, InvalidHashError) as error:
        raise Unauthorized from error
    if digest is None:
        raise Unauthorized
    return hasher.hash(password) if hasher.check_needs_rehash(digest) else None


def _begin(registry: Registry, name: str, digest: str | None, renewed: str | None, user_agent: str) -> Made:
    user = registry.users.by_username(name)
    if user is None or registry.passwords.digest(user.id) != digest or not user.admin:
        raise Unauthorized  # changed meanwhile
    if renewed is not None:
        registry.passwords.put(user.id, renewed, now())
    return sessions.sign_in_as(registry, user, user_agent)


def _digest(registry: Registry, name: str) -> str | None:
    user = registry.users.by_username(name)
    return registry.passwords.digest(user.id) if user is not None and user.admin else None


def _administrator(registry: Registry, caller: Identity, name: str) -> User:
    require_admin(caller)
    user = registry.users.by_username(name)
    if user is None or user.bot:
        raise NotFound("User")
    if not user.admin:
        raise InvalidFields(password="is for administrators alone")  # noqa: S106 - as above
    return user


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 - few have passwords

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
