"""Why an id token opens nothing."""

from __future__ import annotations

import re
from enum import StrEnum

UNSPOKEN = "invalid token"
_CODE = re.compile(r"[a-z_]{1,64}")


class Reason(StrEnum):
    """What logs, metrics and the audit trail call it."""

    MALFORMED = "malformed"  # no JWT that anybody here would sign
    UNKNOWN_ISSUER = "unknown_issuer"
    ALGORITHM = "algorithm"
    KEY = "key"
    SIGNATURE = "signature"
    AUDIENCE = "audience"
    CLAIM = "claim"  # one that is not there, or not what it must be
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    KIND = "kind"  # a person's token where a job's is asked for, or the reverse
    PUBLISHER = "publisher"  # nobody is bound to it
    TARGET = "target"  # the project that is asked for is not among those that it opens
    USED = "used"
    PROVIDER = "provider"  # the provider has let nobody in
    NO_KEYS = "no_keys"  # the issuer cannot be asked


class Refused(Exception):
    """An id token that opens nothing. `told` is for whoever sent it: nothing but `UNSPOKEN` before the signature held,
    as anybody may send anything.
    """

    def __init__(self, reason: Reason, told: str = UNSPOKEN, *, note: str = "") -> None:
        super().__init__(note or told)
        self.reason = reason
        self.told = told
        self.note = note or told  # for the operator's log: it has nothing of the token but names of algorithms and keys
        self.near: int | None = None  # the id of the project that would have been meant, but for this

    @classmethod
    def by_provider(cls, error: str) -> Refused:
        """What a provider of single sign-on says itself, in the words of RFC 6749 section 4.1.2.1."""
        return cls(Reason.PROVIDER, error if _CODE.fullmatch(error) else "it gave no reason")


class NoKeys(Exception):
    """The issuer's keys cannot be had at the moment: worth a retry."""


def mismatch(reason: Reason, claim: str, expected: object, got: object) -> Refused:
    """What a signed token says that it must not."""
    return Refused(reason, f"{claim}: expected {_shown(expected)}, got {_shown(got)}")


MAX_SHOWN = 200  # characters of a value


def _shown(value: object) -> str:
    text = "nothing" if value is None else str(value) if isinstance(value, (int, float, bool)) else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
