"""A browser's session becomes the credential of its requests: what follows need not know of cookies."""

from __future__ import annotations

from starlette.types import Scope

from modelyard.access.token_format import is_well_formed
from modelyard.routes.http.browsing import BROWSER, refuse_other_origins
from modelyard.wire.cookies import session_in
from modelyard.wire.same_origin import SAFE_METHODS

MAX_SECRET = 100  # characters
_SECURE = "https"


def session_credential(scope: Scope, external_url: str | None) -> bytes:
    """The secret of the session of a request that has no other credential, which it gets as one; empty without any.

    Raises Forbidden where the request would change something, and no page of this server makes it.
    """
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if not any(name == b"cookie" for name, _value in headers):
        return b""
    secret = session_in(headers, secure=scope["scheme"] == _SECURE)
    if not secret or len(secret) > MAX_SECRET or not (secret.isascii() and is_well_formed(secret)):
        return b""
    if scope["method"] not in SAFE_METHODS:
        refuse_other_origins(scope, external_url)
    credential = secret.encode()
    scope["headers"] = [*headers, (b"private-token", credential)]
    scope[BROWSER] = True
    return credential
