"""`Content-Disposition` for any file name (RFC 6266, RFC 8187)."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

MAX_PLAIN = 255  # characters; file systems take no longer names
MAX_SUFFIX = 16  # characters after the last dot that tell a kind of file
DIGEST_DIGITS = 8

# attr-char of RFC 8187 section 3.2.1, beyond letters and digits.
_ATTR_CHARS = "!#$&+-.^_`|~"


def attachment(file_name: str) -> str:
    """The header's value, with a plain form for old clients and the exact UTF-8 form for all others."""
    return f"attachment; filename=\"{_plain(file_name)}\"; filename*=UTF-8''{quote(file_name, safe=_ATTR_CHARS)}"


def _plain(file_name: str) -> str:
    """The name as it is, or as near as can be, with a digest by which no other name is shown alike.

    `%`, quotes, backslashes and what is not ASCII become `_`, since clients differ on their meaning. `curl -OJ` saves
    under this form.
    """
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '%"\\' else "_" for c in file_name)
    if plain == file_name:
        return plain
    digest = "-" + hashlib.sha256(file_name.encode()).hexdigest()[:DIGEST_DIGITS]
    stem, dot, suffix = plain.rpartition(".")
    if not stem or len(suffix) > MAX_SUFFIX:
        stem, dot, suffix = plain, "", ""
    return stem[: MAX_PLAIN - len(digest + dot + suffix)] + digest + dot + suffix
