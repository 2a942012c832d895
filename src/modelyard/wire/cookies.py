"""Cookies of browsers (RFC 6265), those of this server alone: names and values of plain ASCII."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

SESSION = "modelyard_session"
HOST_PREFIX = "__Host-"  # by which browsers hold a cookie to this host and to https (RFC 6265bis section 4.1.3.2)
_PAIR = re.compile(r"\s*([^=;\s]+)=([^;]*)")


def read_cookies(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The cookies that a request carries; of two that have one name, the first."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name == b"cookie":
            for pair in _PAIR.finditer(value.decode("latin-1")):
                found.setdefault(pair[1], pair[2].strip())
    return found


def session_in(headers: Iterable[tuple[bytes, bytes]], *, secure: bool) -> str | None:
    """The secret of a browser's session; over https only the cookie that none but this host can have set."""
    cookies = read_cookies(headers)
    found = cookies.get(HOST_PREFIX + SESSION)
    return found if found or secure else cookies.get(SESSION)


def set_session(secret: str, *, secure: bool) -> str:
    """The `Set-Cookie` that begins a session, until the browser is closed or the server ends it."""
    return _session(secret, secure)


def end_session(*, secure: bool) -> str:
    """The `Set-Cookie` that makes a browser forget its session."""
    return _session("", secure) + "; Max-Age=0"


def set_cookie(name: str, value: str, *, secure: bool, seconds: int, path: str = "/", script: bool = False) -> str:
    """The `Set-Cookie` of a small text that is no secret; 0 seconds: forget it. `script`: scripts may read it."""
    kept = f"{name}={quote(value, safe='')}; Path={path}; Max-Age={seconds}; SameSite=Lax"
    return kept + ("" if script else "; HttpOnly") + ("; Secure" if secure else "")


def text_of(value: str) -> str:
    """The text that `set_cookie` was given."""
    return unquote(value)


def _session(value: str, secure: bool) -> str:
    prefix, flag = (HOST_PREFIX, "; Secure") if secure else ("", "")
    return f"{prefix}{SESSION}={value}; Path=/; HttpOnly; SameSite=Lax{flag}"
