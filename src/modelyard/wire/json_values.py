"""JSON that a client sends, of which no more is made than anybody asks for: 8 MB of `[0,0,…` would be 4 million values.

The parser holds the interpreter until it is done, whichever thread it runs on, so what it would make is counted first,
piece by piece. 8 MB that are one text pass in 10 ms, as fast as the parser reads them.
"""

from __future__ import annotations

import json

import orjson

MAX_VALUES = 100_000  # texts, numbers, lists, objects and keys of a document, or a few more: 10 000 parts have 70 000
SLICE_BYTES = 64 * 1024
_ESCAPED_NUL = b"\\u0000"
_TOO_MANY = f"The request body has more than {MAX_VALUES} values"


class TooManyValues(ValueError):
    """A document with more values than any request needs."""

    def __init__(self) -> None:
        super().__init__(_TOO_MANY)


class Unstorable(ValueError):
    """A text with a NUL in it, which no database keeps."""

    def __init__(self) -> None:
        super().__init__("The request contains a character that cannot be stored")


def parse(body: bytes | bytearray) -> object:
    """The value of a document in any encoding of Unicode.

    Raises TooManyValues before any is made, Unstorable, and ValueError for what is no JSON.
    """
    encoding = json.detect_encoding(body[:4])  # from marks of byte order, and from NULs
    if encoding != "utf-8":
        body = body.decode(encoding).encode()
    if _marks(body) >= MAX_VALUES and _marks_outside_texts(body) >= MAX_VALUES:
        raise TooManyValues
    value = orjson.loads(body)  # which refuses halves of surrogate pairs
    if _ESCAPED_NUL in body:
        _refuse_nul(value)
    return value


def _refuse_nul(value: object) -> None:
    """Raise Unstorable for a text with NUL, a key included. JSON may be nested deeper than Python calls may."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if "\0" in each:
                raise Unstorable
        elif isinstance(each, dict):
            waiting += [*each, *each.values()]
        elif isinstance(each, list):
            waiting += each


def _marks(piece: bytes | bytearray) -> int:
    """How many values a document can have beside its first: before each stands one of these."""
    return piece.count(b",") + piece.count(b"[") + piece.count(b"{") + piece.count(b":")


def _marks_outside_texts(body: bytes | bytearray) -> int:
    found, within, start = 0, False, 0
    while start < len(body) and found < MAX_VALUES:
        piece = body[start : start + SLICE_BYTES]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece = body[start : start + len(piece) + 1]  # an escape ends in the slice in which it begins
        start += len(piece)
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        found += _marks(b"".join(parts[within::2]))
        within ^= len(parts) % 2 == 0
    return found
