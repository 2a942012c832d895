"""Id tokens as they come: taken apart, and nothing in them believed.

Stricter than RFC 7515 and RFC 7519 where two readers may see two things: no padding, no key of an object twice, no
number that is none, no text that is no Unicode.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Any

import orjson

from modelyard.services.identity.refusals import Reason, Refused

MAX_TOKEN = 32 * 1024  # characters; GitLab's with 200 groups pass 10 KB
MAX_KEY_ID = 255
MAX_URL = 2048
_PART = re.compile(r"[A-Za-z0-9_-]+")
_PARTS = 3
_ESCAPED_NUL = b"\\u0000"
_FORBIDDEN_HEADERS = frozenset({"crit", "zip", "enc", "b64"})  # what would change what is signed

Claims = dict[str, Any]


@dataclass(frozen=True, slots=True)
class IdToken:
    """A JWT of which nothing is verified: what its header says, and whom it says that it is from."""

    text: str
    algorithm: str
    key_id: str
    issuer: str
    claims: Claims


def read(text: str) -> IdToken:
    """Take an id token apart. Raises Refused."""
    if len(text) > MAX_TOKEN:
        raise _malformed("longer than 32 KiB")
    parts = text.split(".")
    if len(parts) != _PARTS or not all(_PART.fullmatch(part) for part in parts):
        raise _malformed("not three unpadded parts")
    header, claims = _object(_decoded(parts[0])), _object(_decoded(parts[1]))
    _decoded(parts[2])
    algorithm, key_id, issuer = header.get("alg"), header.get("kid"), claims.get("iss")
    if not isinstance(algorithm, str):
        raise _malformed("no alg")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KEY_ID:
        raise _malformed("no kid")
    if not _FORBIDDEN_HEADERS.isdisjoint(header):
        raise _malformed("a header that changes what is signed")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise _malformed("another typ than JWT")
    if not isinstance(issuer, str) or not 0 < len(issuer) <= MAX_URL:
        raise _malformed("no iss")
    return IdToken(text, algorithm, key_id, issuer, claims)


def _decoded(part: str) -> bytes:
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise _malformed("no base64url") from error
    return raw


def _object(raw: bytes) -> Claims:
    try:
        orjson.loads(raw)  # which refuses bad UTF-8, halves of surrogate pairs, NaN, and what is nested too deep
        value = json.loads(raw, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _malformed("no plain JSON") from error
    if not isinstance(value, dict) or _ESCAPED_NUL in raw:
        raise _malformed("no plain JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> Claims:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _malformed(note: str) -> Refused:
    return Refused(Reason.MALFORMED, note=note)
