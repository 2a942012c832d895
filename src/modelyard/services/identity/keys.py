"""The public keys of issuers: read strictly, kept, renewed, and kept on while an issuer is away.

A process keeps its own. They are fresh for ten minutes; a key that is not known makes them be fetched again, once a
minute and issuer however many ask; and where nothing can be fetched they serve for a day.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from modelyard.services.identity.discovery import discover
from modelyard.services.identity.fetching import FetchFailed, Reach, fetch_json
from modelyard.services.identity.refusals import NoKeys

if TYPE_CHECKING:
    from jwt import PyJWK

log = structlog.get_logger()

FRESH_SECONDS = 600.0
STALE_SECONDS = 86_400.0  # after which keys that could not be fetched again serve no more
REFETCH_SECONDS = 60.0  # between looks for a key that is not known
RETRY_SECONDS = 10.0  # after a look that failed, where nothing is there to serve meanwhile
MAX_KEYS = 100
MAX_KEY_ID = 255
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
# By algorithm, the kinds of keys and the curves that it is for (RFC 7518, RFC 8037).
ALGORITHMS: dict[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
}

KeySet = dict[tuple[str, str], "PyJWK"]  # by id and algorithm
_INTERNET = Reach()


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where an issuer's keys come from, and what for."""

    url: str
    algorithms: tuple[str, ...]
    jwks: str = ""  # the keys themselves, as JSON
    jwks_uri: str = ""
    ca: str = ""
    reach: Reach = _INTERNET


def read_keys(document: object, algorithms: tuple[str, ...]) -> KeySet:
    """The keys of a JWKS (RFC 7517) that verify by one of the algorithms. Raises ValueError where there are none."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("is no JWKS")
    if len(listed) > MAX_KEYS:
        raise ValueError(f"has more than {MAX_KEYS} keys")
    found: KeySet = {}
    for each in listed:
        for algorithm in algorithms:
            if isinstance(each, dict) and (key := _key(each, algorithm)) is not None:
                found.setdefault((each["kid"], algorithm), key)
    if not found:
        raise ValueError("has no key that fits")
    return found


def _key(told: dict[str, Any], algorithm: str) -> PyJWK | None:
    """A key for an algorithm; None for one that is for something else, too weak, or not one's to publish."""
    from jwt import PyJWK, PyJWTError  # noqa: PLC0415 - only who has issuers needs it

    kind, curve = ALGORITHMS[algorithm]
    key_id, operations = told.get("kid"), told.get("key_ops")
    fits = (
        isinstance(key_id, str)
        and 0 < len(key_id) <= MAX_KEY_ID
        and told.get("kty") == kind
        and told.get("crv") == curve
        and told.get("use") in {None, "sig"}
        and told.get("alg") in {None, algorithm}
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and "d" not in told
    )
    if not fits:
        return None
    try:
        key = PyJWK(told, algorithm)
        bits = getattr(key.key, "key_size", MIN_RSA_BITS) if kind == "RSA" else MIN_RSA_BITS
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError, OverflowError):  # as the library comes upon it
        return None
    return key if MIN_RSA_BITS <= bits <= MAX_RSA_BITS else None


@dataclass(slots=True)
class _Kept:
    keys: KeySet = field(default_factory=dict)
    fetched_at: float | None = None
    tried_at: float | None = None  # without success since
    sought_at: float | None = None  # for a key that was not there
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Keys:
    """The keys of all issuers, as this process has them. For the event loop alone; what blocks is done in threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[KeySource, _Kept] = {}

    async def find(self, source: KeySource, key_id: str, algorithm: str) -> PyJWK | None:
        """An issuer's key of that id for that algorithm; None if it has none. Raises NoKeys where nobody can say."""
        kept = self._kept.get(source)
        if kept is None:
            self._forget(source.url)
            kept = self._kept.setdefault(source, _Kept())
        wanted = (key_id, algorithm)
        async with kept.lock:  # one fetch at a time: the others find what it brought
            if not self._is_fresh(kept):
                await self._renew(source, kept)
            elif wanted not in kept.keys and not source.jwks and self._may_seek(kept):
                kept.sought_at = self._clock()
                await self._renew(source, kept)
        if not kept.keys:
            raise NoKeys(source.url)
        return kept.keys.get(wanted)

    async def _renew(self, source: KeySource, kept: _Kept) -> None:
        pause = REFETCH_SECONDS if kept.keys else RETRY_SECONDS
        if kept.tried_at is None or self._clock() - kept.tried_at >= pause:
            try:
                kept.keys = await asyncio.to_thread(fetch_keys, source)
                kept.fetched_at, kept.tried_at = self._clock(), None
            except FetchFailed as error:
                kept.tried_at = self._clock()
                log.warning(
                    "keys of an issuer cannot be fetched",
                    issuer=source.url,
                    error=str(error),
                    serving=len(kept.keys),
                    advice="check the issuer, and that this server reaches it",
                )
        if kept.fetched_at is None or self._clock() - kept.fetched_at >= STALE_SECONDS:
            kept.keys = {}

    def _is_fresh(self, kept: _Kept) -> bool:
        return kept.fetched_at is not None and self._clock() - kept.fetched_at < FRESH_SECONDS

    def _may_seek(self, kept: _Kept) -> bool:
        return kept.sought_at is None or self._clock() - kept.sought_at >= REFETCH_SECONDS

    def _forget(self, url: str) -> None:
        """What an issuer's keys were before it was changed."""
        for each in [source for source in self._kept if source.url == url]:
            del self._kept[each]


def fetch_keys(source: KeySource) -> KeySet:
    """An issuer's keys, from wherever they are; blocks. Raises FetchFailed."""
    if source.jwks:
        document, name = orjson.loads(source.jwks), "the issuer's JWKS"
    else:
        name = source.jwks_uri or discover(source.url, "", source.ca, source.reach).jwks_uri
        document = fetch_json(name, source.reach, source.ca)
    try:
        return read_keys(document, source.algorithms)
    except ValueError as error:
        raise FetchFailed(f"{name} {error}") from error
