"""What a credential is: how tokens are made, kept and read from a request's headers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Iterable
from enum import StrEnum

from modelyard.access.token_format import ALPHABET, PREFIX, checksum, is_well_formed, own_spelling
from modelyard.clock import DAY
from modelyard.errors import Unauthorized

SECRET_BYTES = 32
SECRET_DIGITS = 43  # base 62 digits that hold 256 bits
SESSION_IDLE = DAY // 3  # after which a session that is not used ends
SESSION_LONGEST = DAY  # after which any session ends
_BARE_HEADERS = frozenset({b"private-token", b"job-token"})


class TokenKind(StrEnum):
    """Whom a token acts for: a person, a project's bot, its maker within one project, or a browser's user."""

    PERSONAL = "personal"
    PROJECT = "project"
    JOB = "job"
    SESSION = "session"


class Scope(StrEnum):
    """What a token opens: `api` everything that its user may do, `read_api` only what changes nothing."""

    API = "api"
    READ_API = "read_api"


def new_token() -> str:
    """A fresh secret: `myd_`, 256 random bits in base 62, and a CRC-32 tail by which secret scanners know it."""
    secret = _base62(int.from_bytes(secrets.token_bytes(SECRET_BYTES)), SECRET_DIGITS)
    return PREFIX + secret + checksum(secret)


def digest_of(token: str) -> str:
    """The SHA-256 in hex under which a token is stored. 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_credential(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The token that a request carries, or None for an anonymous request.

    Takes `PRIVATE-TOKEN`, `JOB-TOKEN` and `Authorization` with Bearer, Basic (the token as password) or, as in GitLab,
    any other or no scheme word before the token. Raises Unauthorized when a credential cannot be read or has a wrong
    tail, which nobody need look up, or when two headers carry different ones: a credential that is present must be
    valid.
    """
    found = {token for name, value in headers if (token := _token_in(name, value)) is not None}
    if not found:
        return None
    token = own_spelling(found.pop())
    if found or not is_well_formed(token):
        raise Unauthorized
    return token


def _token_in(name: bytes, value: bytes) -> str | None:
    if name == b"authorization":
        return _authorization_token(value.decode("latin-1"))
    if name in _BARE_HEADERS:
        return value.decode("latin-1").strip()
    return None


def _authorization_token(value: str) -> str:
    words = value.split()
    if not words:
        raise Unauthorized
    return _basic_password(words[-1]) if words[0].lower() == "basic" else words[-1]


def _basic_password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unauthorized from error


def _base62(number: int, digits: int) -> str:
    text = ""
    while number:
        number, remainder = divmod(number, len(ALPHABET))
        text = ALPHABET[remainder] + text
    return text.rjust(digits, ALPHABET[0])
