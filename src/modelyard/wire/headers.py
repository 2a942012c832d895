"""Request headers, with the lines of each name joined (RFC 9110 section 5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def combined(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Headers by lower-case name; values of a name that is sent more than once are joined by a comma."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
