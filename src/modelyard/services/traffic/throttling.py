"""Who asks too often: requests of strangers by address, of tokens by themselves, and failed logins.

All counts are this process's own and are lost with it; nothing is shared between workers or replicas.
"""

from __future__ import annotations

import math
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.strategies import SlidingWindowCounterRateLimiter

from modelyard.errors import TooManyRequests
from modelyard.services.files.recent import Recent
from modelyard.services.traffic.windows import BoundedWindows

MAX_KNOWN = 10_000  # credentials that were valid lately
RETRY_SECONDS = 5  # when another upload may have ended
IPV4_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2
IPV6_NETWORK_BYTES = 8  # a customer's: whoever has one address there has them all

# GitLab's names of its throttles, and one of ours.
ANONYMOUS = "throttle_unauthenticated_api"
IDENTIFIED = "throttle_authenticated_api"
FAILED_LOGINS = "throttle_failed_logins"


@dataclass(frozen=True, slots=True)
class Throttled:
    """A request that is one too many: by which limit, and when another may come."""

    name: str
    limit: int  # requests a minute
    reset_at: float  # Unix time

    @property
    def headers(self) -> dict[str, str]:
        """GitLab's headers on such an answer."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Name": self.name,
            "RateLimit-Observed": str(self.limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(math.ceil(self.reset_at)),
            "Retry-After": str(max(1, math.ceil(self.reset_at - time.time()))),
        }


class Throttle:
    """Requests a minute; 0 stands for no limit.

    Nobody is locked out by the failed logins of others, though all come from one address: a credential that is valid
    always passes. What has failed too often is refused without being looked at again, as it stays wrong; and after too
    many that differ, answers to further ones from their address are slow, and tell no more than that.
    """

    def __init__(self, anonymous: int, token: int, failed_logins: int) -> None:
        self._anonymous = RateLimitItemPerMinute(anonymous) if anonymous else None
        self._token = RateLimitItemPerMinute(token) if token else None
        self._failed = RateLimitItemPerMinute(failed_logins) if failed_logins else None
        self._limiter = SlidingWindowCounterRateLimiter(BoundedWindows())
        self._known = Recent[bool](MAX_KNOWN)
        self.counts_tokens = token > 0

    def knows(self, mark: str) -> bool:
        """Whether the credential of that mark was valid lately; always where failed logins are not counted."""
        return self._failed is None or bool(self._known.get(mark))

    def anonymous(self, address: str) -> Throttled | None:
        """Count a request without a credential; the refusal that is due, if any."""
        return self._count(self._anonymous, ANONYMOUS, network_of(address)) if self._anonymous else None

    def stale(self, address: str, mark: str) -> Throttled | None:
        """The refusal that is due to a credential that is not known and has failed too often, if it has."""
        if self._failed is None:
            return None
        key = (network_of(address), mark)
        if self._limiter.test(self._failed, FAILED_LOGINS, *key):
            return None
        return self._refusal(self._failed, FAILED_LOGINS, *key)

    def slows(self, address: str) -> bool:
        """Whether so many credentials from an address were wrong lately that further wrong ones are slowed."""
        return self._failed is not None and not self._limiter.test(self._failed, FAILED_LOGINS, network_of(address))

    def identified(self, mark: str) -> Throttled | None:
        """Count a request with the token of that mark; the refusal that is due, if any."""
        return self._count(self._token, IDENTIFIED, mark) if self._token else None

    def passed(self, mark: str) -> None:
        """Learn that the credential of that mark was found to be valid."""
        if self._failed is not None:
            self._known.put(mark, True)

    def failed(self, address: str, mark: str) -> Throttled | None:
        """Learn that the credential of that mark was found to be wrong; the refusal that is due, if any.

        One that is sent again and again counts as one of those that differ.
        """
        if self._failed is None:
            return None
        self._known.forget(mark)
        network = network_of(address)
        before = self._limiter.get_window_stats(self._failed, FAILED_LOGINS, network, mark)
        if before.remaining == self._failed.amount and not self._limiter.hit(self._failed, FAILED_LOGINS, network):
            return self._refusal(self._failed, FAILED_LOGINS, network)
        self._limiter.hit(self._failed, FAILED_LOGINS, network, mark)
        return None

    def count(self, name: str, most: int, *key: str) -> Throttled | None:
        """Count one of what may be done `most` times a minute by whom `key` names; the refusal that is due, if any."""
        item = RateLimitItemPerMinute(most)
        return None if self._limiter.hit(item, name, *key) else self._refusal(item, name, *key)

    def full(self, name: str, most: int, *key: str) -> Throttled | None:
        """The refusal that is due to one more of these, which is not counted yet."""
        item = RateLimitItemPerMinute(most)
        return None if self._limiter.test(item, name, *key) else self._refusal(item, name, *key)

    def _count(self, item: RateLimitItem, name: str, key: str) -> Throttled | None:
        return None if self._limiter.hit(item, name, key) else self._refusal(item, name, key)

    def _refusal(self, item: RateLimitItem, name: str, *key: str) -> Throttled:
        return Throttled(name, item.amount, self._limiter.get_window_stats(item, name, *key).reset_time)


class UploadSlots:
    """Uploads that run at a time, by token."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: Counter[str | None] = Counter()

    @contextmanager
    def taken(self, token: str | None) -> Iterator[None]:
        """Run one more upload with a token, by its digest, in whichever way it comes. Raises TooManyRequests."""
        if self._limit and self._running[token] >= self._limit:
            raise TooManyRequests(f"{self._limit} uploads of this token are running", RETRY_SECONDS)
        self._running[token] += 1
        try:
            yield
        finally:
            self._running[token] -= 1
            if not self._running[token]:
                del self._running[token]


@lru_cache(1024)
def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the network that an IPv6 address lies in."""
    if ":" not in address:
        return address
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return address
    if packed.startswith(IPV4_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed.removeprefix(IPV4_MAPPED))
    return packed[:IPV6_NETWORK_BYTES].hex()


def mark_of(credential: bytes) -> str:
    """What a credential is remembered by in this process, whose hashes have a key of their own; no secret is kept."""
    return f"{hash(credential):x}"
