"""Headers as texts by name, and as the pairs of bytes that ASGI carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

RawHeaders: TypeAlias = tuple[tuple[bytes, bytes], ...]


def combined(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Headers by lower-case name; values of a name that is sent more than once are joined by a comma (RFC 9110
    section 5.3).
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def encoded(headers: Mapping[str, str]) -> RawHeaders:
    """Headers of an answer as ASGI sends them."""
    return tuple((name.lower().encode(), value.encode("latin-1")) for name, value in headers.items())
