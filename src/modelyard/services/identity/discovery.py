"""What an issuer says of itself (OpenID Connect Discovery 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from modelyard.services.identity.fetching import FetchFailed, Reach, fetch_json, refuse_url

WELL_KNOWN = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Discovery:
    """The document, whose issuer and place of keys have been looked at; nothing else in it has."""

    jwks_uri: str
    document: dict[str, Any]


def discover(url: str, listed_jwks_uri: str, ca: str, reach: Reach) -> Discovery:
    """What the issuer of that URL says of itself; blocks. `listed_jwks_uri`: where its keys may be on another host.

    Raises FetchFailed, also for a document of another issuer (section 4.3), and for keys that are elsewhere.
    """
    place = url.rstrip("/") + WELL_KNOWN
    document = fetch_json(place, reach, ca)
    if not isinstance(document, dict) or document.get("issuer") != url:
        raise FetchFailed(f"{place} is of another issuer")
    keys = document.get("jwks_uri")
    if not isinstance(keys, str):
        raise FetchFailed(f"{place} has no jwks_uri")
    if fault := refuse_url(keys, reach):
        raise FetchFailed(f"{place}: jwks_uri {fault}")
    if keys != listed_jwks_uri and urlsplit(keys)[:2] != urlsplit(url)[:2]:
        raise FetchFailed(f"{place}: jwks_uri is on another host, which the issuer is not listed with")
    return Discovery(keys, document)
