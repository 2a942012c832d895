"""Id tokens verified (OpenID Connect Core 3.1.3.7, RFC 8725), up to what their issuer's kind asks for.

The signature is PyJWT's to verify; everything around it is held here, as libraries take more than they should.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelyard.clock import Milliseconds
from modelyard.registry.tables import Issuer
from modelyard.services.identity.fetching import Reach
from modelyard.services.identity.id_tokens import Claims, IdToken
from modelyard.services.identity.keys import Keys, KeySource
from modelyard.services.identity.refusals import Reason, Refused, mismatch

LEEWAY = 30  # seconds by which two clocks may differ
LONGEST = 86_400  # seconds for which a token may live
MAX_SUBJECT = 1024  # characters


@dataclass(frozen=True, slots=True)
class Signed:
    """What an issuer says, and its signature holds; whether it is meant for us, or of use, is not known yet."""

    issuer: Issuer
    subject: str
    expires_at: Milliseconds
    claims: Claims


def source_of(issuer: Issuer, *, loopback: bool) -> KeySource:
    """Where an issuer's keys come from; `loopback`: see `fetching.Reach`."""
    return KeySource(
        issuer.url,
        tuple(issuer.algorithms.split()),
        issuer.jwks,
        issuer.jwks_uri,
        issuer.ca,
        Reach(issuer.private, loopback),
    )


async def verify(token: IdToken, issuer: Issuer, keys: Keys, at: Milliseconds, *, loopback: bool) -> Signed:
    """What the token says, if its signature and its times hold, and it has a subject. Raises Refused and NoKeys.

    `issuer` must be the one of `token.issuer`. The audience, and the kind of token, are whoever asks to look at.
    """
    await verify_signature(token, issuer, keys, loopback=loopback)
    return hold(token, issuer, at)


def hold(token: IdToken, issuer: Issuer, at: Milliseconds) -> Signed:
    """What a token says whose signature has held, if its times do, and it has a subject. Raises Refused."""
    expires_at = _hold_times(token.claims, at / 1000)
    subject = token.claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise mismatch(Reason.CLAIM, "sub", f"1 to {MAX_SUBJECT} characters", subject)
    return Signed(issuer, subject, int(expires_at * 1000), token.claims)


async def verify_signature(token: IdToken, issuer: Issuer, keys: Keys, *, loopback: bool) -> None:
    """Return where a key of the issuer's has signed the token. Raises Refused and NoKeys."""
    if token.issuer != issuer.url:
        raise Refused(Reason.UNKNOWN_ISSUER)
    if token.algorithm not in issuer.algorithms.split():
        raise Refused(Reason.ALGORITHM, note=f"alg {token.algorithm[:20]!r} is not among the issuer's")
    key = await keys.find(source_of(issuer, loopback=loopback), token.key_id, token.algorithm)
    if key is None:
        raise Refused(Reason.KEY, note=f"the issuer has no key {token.key_id!r} for {token.algorithm}")
    from jwt import PyJWTError  # noqa: PLC0415 - only who has issuers needs it
    from jwt.api_jws import PyJWS  # noqa: PLC0415 - as above

    try:
        PyJWS().decode(token.text, key, algorithms=[token.algorithm])
    except PyJWTError as error:
        raise Refused(Reason.SIGNATURE) from error


def require_audience(signed: Signed, audience: str) -> None:
    """Refuse a token that is not for that audience alone."""
    told = signed.claims.get("aud")
    if told not in (audience, [audience]):
        raise mismatch(Reason.AUDIENCE, "aud", audience, told)


def _hold_times(claims: Claims, at: float) -> float:
    """When the token ends, in seconds; all of its moments must be there, and fit."""
    expires, issued = _moment(claims, "exp"), _moment(claims, "iat")
    begins = _moment(claims, "nbf") if "nbf" in claims else issued
    if expires <= at - LEEWAY:
        raise Refused(Reason.EXPIRED, f"exp: the token ended {at - expires:.0f} seconds ago")
    for name, moment in (("iat", issued), ("nbf", begins)):
        if moment > at + LEEWAY:
            raise Refused(Reason.NOT_YET, f"{name}: the token begins in {moment - at:.0f} seconds")
    if expires - issued > LONGEST:
        raise Refused(Reason.CLAIM, f"exp: the token lives for more than {LONGEST} seconds")
    return expires


def _moment(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**53 or math.isnan(value):
        raise mismatch(Reason.CLAIM, name, "seconds since 1970", value)
    return value
