"""Range requests (RFC 9110 section 14)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_RANGES = 100
MAX_DIGITS = 19  # more digits than the size of any file has

_UNIT = "bytes"
_SPEC = re.compile(r"([0-9]*)-([0-9]*)", re.ASCII)


class UnsatisfiableRange(ValueError):
    """No part of the file was asked for, or more parts than anyone needs."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes from `start` up to, but without, `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Bytes in the range."""
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """The `Content-Range` header for a file of `size` bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def parse_range(header: str | None, size: int) -> list[ByteRange] | None:
    """The ranges that a `Range` header asks for, of a file of `size` bytes; None where the whole file is the answer.

    A header of another unit, one that is malformed, and one whose ranges overlap so much that they add up to more than
    the file are ignored (section 14.2), and so is any of an empty file: some clients send one with each request. Raises
    UnsatisfiableRange when nothing of the file is asked for.
    """
    specs = _parse_specs(header)
    if specs is None or size == 0:
        return None
    if len(specs) > MAX_RANGES:
        raise UnsatisfiableRange("too many ranges")
    ranges = [found for first, last in specs if (found := _within(first, last, size))]
    if not ranges:
        raise UnsatisfiableRange("no range lies within the file")
    if len(ranges) > 1 and sum(each.length for each in ranges) > size:
        return None
    return ranges


def _parse_specs(header: str | None) -> list[tuple[str, str]] | None:
    """First and last position of each range as digits; None for a header that is to be ignored."""
    unit, separator, listed = (header or "").partition("=")
    if unit.strip().lower() != _UNIT or not separator:
        return None
    specs = []
    for element in filter(None, (element.strip(" \t") for element in listed.split(","))):
        match = _SPEC.fullmatch(element)
        if match is None or element == "-" or _is_backward(match[1], match[2]):
            return None
        specs.append((match[1], match[2]))
    return specs or None


def _is_backward(first: str, last: str) -> bool:
    return bool(first and last) and _position(last) < _position(first)


def _position(digits: str) -> int:
    significant = digits.lstrip("0") or "0"
    return int(significant) if len(significant) <= MAX_DIGITS else 10**MAX_DIGITS


def _within(first: str, last: str, size: int) -> ByteRange | None:
    """The part of a range that lies in the file, if any."""
    if not first:
        start, stop = max(0, size - _position(last)), size
    else:
        start, stop = _position(first), min(_position(last) + 1, size) if last else size
    return ByteRange(start, stop) if start < stop else None


@dataclass(frozen=True, slots=True)
class MultipartRanges:
    """The framing of several ranges as multipart/byteranges (section 14.6)."""

    ranges: Sequence[ByteRange]
    size: int  # bytes of the whole file
    boundary: str
    content_type: str  # of the file

    @property
    def content_type_header(self) -> str:
        """The media type of the answer."""
        return f"multipart/byteranges; boundary={self.boundary}"

    @property
    def content_length(self) -> int:
        """Bytes of the whole answer, framing and all."""
        return sum(len(self.part_head(each)) + each.length for each in self.ranges) + len(self.tail)

    def part_head(self, part: ByteRange) -> bytes:
        """What goes before the bytes of a range."""
        head = f"\r\n--{self.boundary}\r\nContent-Type: {self.content_type}\r\n"
        return f"{head}Content-Range: {part.content_range(self.size)}\r\n\r\n".encode()

    @property
    def tail(self) -> bytes:
        """What ends the answer."""
        return f"\r\n--{self.boundary}--\r\n".encode()
