"""Whether a browser says that a page of this very server makes a request: what keeps other sites from acting for its
user (CSRF). No token is needed for it, and none is in a page.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 section 9.2.1
_OWN_SITES = frozenset({"same-origin", "none"})
_PORTS = {"http": 80, "https": 443}


def is_same_origin(headers: Mapping[str, str], own: Collection[str]) -> bool:
    """By `Sec-Fetch-Site` (Fetch Metadata) where the browser sends it, which over plain http it does to this machine
    alone; else by `Origin`, which must be that of one of our `own` URLs. Neither: no.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN_SITES
    origin = headers.get("origin")
    return origin is not None and _origin(origin) in {_origin(url) for url in own} - {None}


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL (RFC 6454); None for what has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname and port else None
