"""What our tokens look like: `myd_`, a secret in base 62, and its CRC-32, by which secret scanners know them."""

from __future__ import annotations

import string
import zlib

PREFIX = "myd_"
HUB_PREFIX = "hf_"  # what llama.cpp takes for a token; it sends no other
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
CHECKSUM_DIGITS = 6  # base 62 digits that hold a CRC-32: three pairs
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]  # two digits at a time: it is done for every request


def is_well_formed(token: str) -> bool:
    """Whether a token is none that begins as ours do, or has the tail that belongs to it.

    Others may be valid, too: the administrator's first may be anything else.
    """
    return not token.startswith(PREFIX) or token[-CHECKSUM_DIGITS:] == checksum(token[len(PREFIX) : -CHECKSUM_DIGITS])


def own_spelling(token: str) -> str:
    """One of our tokens that is written with Hugging Face's prefix, with its own; any other as it is."""
    if not token.startswith(HUB_PREFIX):
        return token
    own = PREFIX + token[len(HUB_PREFIX) :]
    return own if is_well_formed(own) else token


def checksum(secret: str) -> str:
    """The CRC-32 of a secret in 6 digits of base 62."""
    rest, low = divmod(zlib.crc32(secret.encode()), len(_PAIRS))
    high, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]
