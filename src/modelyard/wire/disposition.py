"""`Content-Disposition` for any file name (RFC 6266, RFC 8187)."""

from __future__ import annotations

from urllib.parse import quote

# attr-char of RFC 8187 section 3.2.1, beyond letters and digits.
_ATTR_CHARS = "!#$&+-.^_`|~"


def attachment(file_name: str) -> str:
    """The header's value, with a plain form for old clients and the exact UTF-8 form for all others.

    In the plain form `%`, quotes, backslashes and what is not ASCII become `_`, since clients differ on their meaning.
    """
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '%"\\' else "_" for c in file_name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe=_ATTR_CHARS)}"
