"""Files of tensors: what their headers say, without their weights."""

from __future__ import annotations

import codecs
import json
import math
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from modelyard.services.previews.source import HEADER_BYTES, READ_BYTES, Faulty, Source

MAX_SHOWN = 1000  # tensors
MAX_METADATA, MAX_VALUE = 100, 300  # entries, and characters of one
MAX_ENTRY = 4 * 1024 * 1024  # characters of one entry of a header
MAX_DIMENSIONS = 64
MAX_DIMENSION = 2**63 - 1
NPY_HEADER_BYTES = 10_000  # as numpy has it
# Bits of a value (https://github.com/huggingface/safetensors, `Dtype`).
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")
_NPY = re.compile(
    r"\{\s*'descr':\s*(?P<type>'[^']{1,100}'|\[.{1,5000}\])\s*,\s*'fortran_order':\s*(?P<order>True|False)\s*,"
    r"\s*'shape':\s*\((?P<shape>[0-9L, ]{0,1000})\)\s*,?\s*\}\s*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int | None  # bytes; None where the header does not tell

    @property
    def parameters(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)


@dataclass(slots=True)
class Tensors:
    """The tensors of a file, the first ones by name, and all in numbers."""

    shown: list[Tensor] = field(default_factory=list)
    count: int = 0
    parameters: int = 0
    by_type: Counter[str] = field(default_factory=Counter)  # parameters
    metadata: dict[str, str] = field(default_factory=dict)
    header_bytes: int = 0

    def add(self, tensor: Tensor) -> None:
        """Count one more."""
        self.count += 1
        self.parameters += tensor.parameters
        self.by_type[tensor.dtype] += tensor.parameters
        if len(self.shown) < MAX_SHOWN:
            self.shown.append(tensor)

    def tell(self, key: str, value: str) -> None:
        """Keep an entry of the metadata, as far as there is room."""
        if len(self.metadata) < MAX_METADATA:
            self.metadata[key[:MAX_VALUE]] = value if len(value) <= MAX_VALUE else f"{value[:MAX_VALUE]}…"


def safetensors_of(source: Source) -> Tensors:
    """What a safetensors file says of itself: 8 bytes of length, then JSON of that length, read a piece at a time.

    Raises Faulty for what its own reader would refuse of the header, and for lengths that lie.
    """
    length = _header_length(source)
    found, room = Tensors(header_bytes=8 + length), source.size - 8 - length
    for name, value in _entries(source, 8, length):
        if not isinstance(value, Mapping):
            raise Faulty("The header has an entry that is no tensor")
        if name == "__metadata__":
            for key, text in value.items():
                found.tell(str(key), str(text))
            continue
        found.add(_safe_tensor(name, value, room))
    return found


def npy_of(source: Source) -> Tensor:
    """The array of a file of numpy's. Raises Faulty. Nothing in it is evaluated."""
    begin = source.read(0, 12)
    if begin[:6] != b"\x93NUMPY" or len(begin) < 12 or begin[6] not in (1, 2, 3):  # noqa: PLR2004 - versions
        raise Faulty("The file is none of numpy's")
    wide = begin[6] > 1
    length = int.from_bytes(begin[8:12] if wide else begin[8:10], "little")
    start = 12 if wide else 10
    if length > NPY_HEADER_BYTES:
        raise Faulty(f"The header is larger than {NPY_HEADER_BYTES} bytes")
    header = _NPY.fullmatch(source.read(start, length).decode("utf-8", errors="replace"))
    if header is None:
        raise Faulty("The header of the file cannot be read")
    numbers = [part.strip().rstrip("L") for part in header["shape"].split(",")]
    shape = tuple(int(each) for each in numbers if each)
    if len(shape) > MAX_DIMENSIONS or any(each > MAX_DIMENSION for each in shape):
        raise Faulty("The header has a shape that cannot be")
    return Tensor("", header["type"].strip("'"), shape, max(source.size - start - length, 0))


def _header_length(source: Source) -> int:
    begin = source.read(0, 8)
    if len(begin) < 8:  # noqa: PLR2004 - bytes of the length
        raise Faulty("The file is too short for a header")
    (length,) = struct.unpack("<Q", begin)
    if length > HEADER_BYTES:
        raise Faulty(f"The header is larger than {HEADER_BYTES // 1_000_000} MB")
    if length > source.size - 8:
        raise Faulty("The header says more than the file has")
    return int(length)


def _safe_tensor(name: str, value: Mapping[str, object], room: int) -> Tensor:
    dtype, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not (isinstance(dtype, str) and _are_numbers(shape) and _are_numbers(offsets)):
        raise Faulty(f"The header has no type, shape and place of {name[:100]}")
    if len(shape) > MAX_DIMENSIONS or len(offsets) != 2 or not offsets[0] <= offsets[1] <= room:  # noqa: PLR2004
        raise Faulty(f"The place of {name[:100]} is not in the file")
    size, bits = offsets[1] - offsets[0], _BITS.get(dtype)
    if bits is not None and math.prod(shape) * bits != size * 8:
        raise Faulty(f"The shape of {name[:100]} does not fit into its place")
    if math.prod(shape) > MAX_DIMENSION:
        raise Faulty(f"The shape of {name[:100]} cannot be")
    return Tensor(name, dtype[:20], tuple(shape), size)


def _are_numbers(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(
        isinstance(each, int) and not isinstance(each, bool) and 0 <= each <= MAX_DIMENSION for each in value
    )


def _entries(source: Source, offset: int, length: int) -> Iterator[tuple[str, object]]:
    """The entries of a JSON object that lies in a file, one at a time: a header of 100 MB is never in memory."""
    text = _Window(source, offset, length)
    text.expect("{")
    if text.peek() == "}":
        return
    while True:
        text.peek()
        key = text.value()
        if not isinstance(key, str):
            raise Faulty("The header is no JSON")
        text.expect(":")
        text.peek()
        yield key, text.value()
        if text.peek() == "}":
            return
        text.expect(",")


class _Window:
    """A part of a text in a file that moves on as it is read."""

    def __init__(self, source: Source, offset: int, length: int) -> None:
        self._source = source
        self._next, self._end = offset, offset + length
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at = "", 0

    def peek(self) -> str:
        """The next character that is no blank. Raises Faulty at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                raise Faulty("The header ends too early")

    def expect(self, character: str) -> None:
        """Go past a character."""
        if self.peek() != character:
            raise Faulty("The header is no JSON")
        self._at += 1

    def value(self) -> object:
        """The value that begins here; a number is known to have ended only by what follows it."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise Faulty("The header is nested too deeply") from error
            except ValueError as error:
                if len(self._text) - self._at > MAX_ENTRY or not self._more():
                    raise Faulty("The header is no JSON") from error
                continue
            if end < len(self._text) or not self._more():
                self._at = end
                return value

    def _more(self) -> bool:
        """Read on; what was passed is forgotten. Whether there was any more."""
        length = min(READ_BYTES, self._end - self._next)
        if length <= 0:
            return False
        block = self._source.read(self._next, length)
        self._next += length
        try:
            more = self._decoder.decode(block, final=self._next >= self._end)
        except UnicodeDecodeError as error:
            raise Faulty("The header is no UTF-8") from error
        self._text, self._at = self._text[self._at :] + more, 0
        return True
