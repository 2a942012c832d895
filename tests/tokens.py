"""What secret scanners know of our tokens, worked out anew."""

from __future__ import annotations

import re
import string
import zlib

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


def is_well_formed(token: str) -> bool:
    """Whether a token is `myd_`, 43 digits in base 62, and the CRC-32 of those in 6 digits more."""
    match = re.fullmatch(r"myd_([0-9A-Za-z]{43})([0-9A-Za-z]{6})", token)
    if match is None:
        return False
    number = 0
    for digit in match[2]:
        number = number * len(ALPHABET) + ALPHABET.index(digit)
    return number == zlib.crc32(match[1].encode())
