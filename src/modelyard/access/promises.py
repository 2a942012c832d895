"""Promises to take over an upload that a client carries out elsewhere: signed, so that nothing need be remembered."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import astuple, dataclass

import orjson

from modelyard.clock import Milliseconds
from modelyard.errors import BadRequest

CONTEXT = b"modelyard upload"  # the same secret signs nothing else in this way


class UnknownUpload(BadRequest):
    """400: no promise of ours for this file and this user, or one that has expired."""

    def __init__(self) -> None:
        super().__init__("The upload is not known for this file, or has expired: authorize it again")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a promise holds, and for whom. Ids, so that it survives a renaming and no other place is like it."""

    project_id: int
    owner_kind: str
    owner_id: int
    name: str
    user_id: int


@dataclass(frozen=True, slots=True)
class Promise:
    """What is to be taken over: the upload's id in the store, its size in bytes and perhaps its SHA-256."""

    upload_id: str
    size: int
    sha256: str | None
    expires_at: Milliseconds


class Promises:
    """Makes and reads promises; any process with the same secret reads those of the others."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, CONTEXT, hashlib.sha256)

    def sign(self, promise: Promise, place: Place) -> str:
        """The promise as text for a header or a URL."""
        content = orjson.dumps(astuple(promise))
        return f"{_encoded(content)}.{_encoded(self._signature(content, place))}"

    def read(self, text: str, place: Place, at: Milliseconds) -> Promise:
        """The promise, if it was given for that place and holds at that time. Raises UnknownUpload."""
        content, _, signature = text.partition(".")
        try:
            raw, signed = _decoded(content), _decoded(signature)
        except (binascii.Error, ValueError) as error:
            raise UnknownUpload from error
        if not hmac.compare_digest(signed, self._signature(raw, place)):
            raise UnknownUpload
        promise = Promise(*orjson.loads(raw))
        if promise.expires_at <= at:
            raise UnknownUpload
        return promise

    def _signature(self, content: bytes, place: Place) -> bytes:
        # JSON delimits the parts of a place, and newline, which it never contains, the place from the content.
        return hmac.digest(self._key, orjson.dumps(astuple(place)) + b"\n" + content, hashlib.sha256)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
