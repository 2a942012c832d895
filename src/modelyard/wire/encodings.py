"""Content codings (RFC 9110 section 8.4): none is taken off or put on, so what names one is refused."""

from __future__ import annotations

from collections.abc import Mapping

from modelyard.errors import UnsupportedMediaType

_NONE = frozenset({"", "identity"})


def refuse_encoded(headers: Mapping[str, str]) -> None:
    """Raise UnsupportedMediaType for a `Content-Encoding` but `identity`; names in `headers` are in lower case.

    Stored without it, the bytes would be another file's to whoever downloads them.
    """
    codings = headers.get("content-encoding")
    if codings and not _NONE.issuperset(coding.strip(" \t").lower() for coding in codings.split(",")):
        raise UnsupportedMediaType("Content-Encoding is not supported: send the bytes as they are")
