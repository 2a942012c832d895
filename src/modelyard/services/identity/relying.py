"""A provider asked who somebody is: the code flow of OpenID Connect, as the relying party."""

from __future__ import annotations

import asyncio
import base64
import hmac
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from modelyard.clock import now
from modelyard.registry.identity.sign_on import Listed
from modelyard.registry.tables import Issuer, SignOnProvider
from modelyard.services.identity import id_tokens, verification
from modelyard.services.identity.discovery import discover
from modelyard.services.identity.fetching import FetchFailed, Reach, fetch, fetch_json, refuse_url
from modelyard.services.identity.id_tokens import Claims
from modelyard.services.identity.keys import Keys
from modelyard.services.identity.refusals import Reason, Refused, mismatch
from modelyard.services.identity.states import Journey

FRESH_SECONDS = 600.0  # for which a provider's document is not asked for again
STALE_SECONDS = 86_400.0
RETRY_SECONDS = 10.0  # after a question that was not answered
MAX_HINT = 4096  # characters of an id token that fits into an address
MAX_KEPT = 100
_OK = 200
_VISIBLE = re.compile(r"[!-~]+")  # characters that a URL, sent in a header, can have
_POST, _BASIC = "client_secret_post", "client_secret_basic"


@dataclass(frozen=True, slots=True)
class Asked:
    """A provider, with what it says of itself."""

    provider: SignOnProvider
    issuer: Issuer
    document: Mapping[str, Any]
    reach: Reach

    def endpoint(self, name: str) -> str | None:
        """The URL of an endpoint, if it has that, and people and secrets may be sent there."""
        url = self.document.get(f"{name}_endpoint")
        if not isinstance(url, str) or not _VISIBLE.fullmatch(url) or "#" in url:
            return None
        return url if refuse_url(url.partition("?")[0], self.reach) is None else None


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a provider has let in, and what it says of them."""

    subject: str
    claims: Claims
    id_token: str


@dataclass(slots=True)
class _Kept:
    """What a provider said of itself, and how the last question went; moments in seconds."""

    document: Mapping[str, Any] = field(default_factory=dict)
    fetched_at: float | None = None
    failed_at: float | None = None
    failure: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @staticmethod
    def age(moment: float | None) -> float:
        """Seconds since a moment; infinite where there was none."""
        return math.inf if moment is None else time.monotonic() - moment


class Relying:
    """Asks providers, whose documents and keys it keeps for a while."""

    def __init__(self, keys: Keys, *, loopback: bool) -> None:
        self._keys = keys
        self._loopback = loopback
        self._kept: dict[tuple[str, str, str, bool], _Kept] = {}

    async def ask(self, listed: Listed) -> Asked:
        """What a provider says of itself; what it said within the day where it cannot be asked. Raises FetchFailed."""
        provider, issuer = listed
        reach, key = Reach(issuer.private, self._loopback), (issuer.url, issuer.jwks_uri, issuer.ca, issuer.private)
        if key not in self._kept and len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        kept = self._kept.setdefault(key, _Kept())
        async with kept.lock:  # one question at a time: the others find what it brought
            if kept.age(kept.fetched_at) >= FRESH_SECONDS and kept.age(kept.failed_at) >= RETRY_SECONDS:
                await _renew(kept, issuer, reach)
        if kept.age(kept.fetched_at) >= STALE_SECONDS:
            raise FetchFailed(kept.failure)
        return Asked(provider, issuer, kept.document, reach)

    async def meet(self, asked: Asked, journey: Journey, code: str, redirect_uri: str) -> Person:
        """Whom a code stands for. Raises Refused for what is not to be believed, NoKeys, and FetchFailed."""
        given = await asyncio.to_thread(_exchange, asked, journey, code, redirect_uri)
        text = given.get("id_token")
        if not isinstance(text, str):
            raise Refused(Reason.MALFORMED, "the provider gave no id token")
        token = id_tokens.read(text)
        signed = await verification.verify(token, asked.issuer, self._keys, now(), loopback=self._loopback)
        _hold_audience(signed.claims, asked.provider.client_id)
        nonce = signed.claims.get("nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), journey.nonce.encode()):
            raise Refused(Reason.KIND, "nonce: it is not that of this sign-in")
        more = await asyncio.to_thread(_user_info, asked, given.get("access_token"), signed.subject)
        return Person(signed.subject, {**more, **signed.claims}, text)


async def _renew(kept: _Kept, issuer: Issuer, reach: Reach) -> None:
    try:
        found = await asyncio.to_thread(discover, issuer.url, issuer.jwks_uri, issuer.ca, reach)
        kept.document, kept.fetched_at, kept.failed_at = found.document, time.monotonic(), None
    except FetchFailed as error:
        kept.failed_at, kept.failure = time.monotonic(), str(error)


def authorization_url(asked: Asked, journey: Journey, redirect_uri: str) -> str:
    """Where a browser goes to sign in (OpenID Connect Core section 3.1.2.1). Raises FetchFailed."""
    url = asked.endpoint("authorization")
    if url is None:
        raise FetchFailed(f"{asked.issuer.url} has no authorization_endpoint that people may be sent to")
    query = {
        "response_type": "code",
        "client_id": asked.provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": asked.provider.scopes,
        "state": journey.state,
        "nonce": journey.nonce,
        "code_challenge": journey.challenge,
        "code_challenge_method": "S256",
    }
    return _with_query(url, query)


def end_session_url(asked: Asked, id_token: str, back: str) -> str | None:
    """Where a browser goes to sign out (OpenID Connect RP-Initiated Logout 1.0); None where that cannot be done."""
    url = asked.endpoint("end_session")
    if url is None:
        return None
    hint = {"id_token_hint": id_token} if len(id_token) <= MAX_HINT else {}
    return _with_query(url, hint | {"client_id": asked.provider.client_id, "post_logout_redirect_uri": back})


def hold_issuer(asked: Asked, told: str | None) -> None:
    """Refuse an answer that another provider gave (RFC 9207 section 2.4)."""
    if told is None and asked.document.get("authorization_response_iss_parameter_supported") is not True:
        return
    if told != asked.issuer.url:
        raise mismatch(Reason.UNKNOWN_ISSUER, "iss", asked.issuer.url, told)


def _hold_audience(claims: Claims, client_id: str) -> None:
    """Refuse what is not for us (OpenID Connect Core section 3.1.3.7); of several it must say that we are meant."""
    told, party = claims.get("aud"), claims.get("azp")
    listed = told if isinstance(told, list) else [told]
    if client_id not in listed:
        raise mismatch(Reason.AUDIENCE, "aud", client_id, told)
    if (len(listed) > 1 or party is not None) and party != client_id:
        raise mismatch(Reason.AUDIENCE, "azp", client_id, party)


def _exchange(asked: Asked, journey: Journey, code: str, redirect_uri: str) -> dict[str, Any]:
    """What the provider gives for a code, once. Blocks. Raises Refused and FetchFailed."""
    url = asked.endpoint("token")
    if url is None:
        raise FetchFailed(f"{asked.issuer.url} has no token_endpoint that may be asked")
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": journey.verifier,
        "client_id": asked.provider.client_id,
    }
    headers: dict[str, str] = {}
    if secret := _secret(asked.provider):
        methods = asked.document.get("token_endpoint_auth_methods_supported") or [_BASIC]
        if _BASIC not in methods and _POST in methods:
            fields["client_secret"] = secret
        else:
            pair = f"{quote(asked.provider.client_id, safe='')}:{quote(secret, safe='')}"  # RFC 6749 section 2.3.1
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    status, body = fetch(url, asked.reach, asked.issuer.ca, headers, urlencode(fields).encode())
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise FetchFailed(f"{url} answers {status}, which is no JSON") from error
    if status != _OK or not isinstance(given, dict):
        said = given.get("error") if isinstance(given, dict) else None
        raise Refused(Reason.USED, "the provider does not know the code", note=f"{url} answers {status} {said!r:.100}")
    return given


def _user_info(asked: Asked, access_token: object, subject: str) -> Claims:
    """What else the provider says of the same person; nothing where it has no such place. Blocks."""
    url = asked.endpoint("userinfo")
    if url is None or not isinstance(access_token, str) or not access_token.isascii() or not access_token.isprintable():
        return {}
    told = fetch_json(url, asked.reach, asked.issuer.ca, {"Authorization": f"Bearer {access_token}"})
    if not isinstance(told, dict) or told.get("sub") != subject:
        raise Refused(Reason.CLAIM, "sub: the provider's userinfo is of somebody else")
    return told


def _secret(provider: SignOnProvider) -> str:
    """The client's secret, as its file has it at this moment if it has one. Raises FetchFailed."""
    if not provider.secret_file:
        return provider.secret or ""
    try:
        return Path(provider.secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text"
        raise FetchFailed(f"the client's secret in {provider.secret_file} cannot be read: {reason}") from error


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"
