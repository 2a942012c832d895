"""GGUF, the files of llama.cpp (https://github.com/ggml-org/ggml, docs/gguf.md): metadata and tensors of the header."""

from __future__ import annotations

import math
import struct

from modelyard.services.previews.source import Cursor, Faulty, Source
from modelyard.services.previews.tensors import MAX_DIMENSION, MAX_VALUE, Tensor, Tensors

MAX_ENTRIES, MAX_TENSORS, MAX_ITEMS = 10_000, 200_000, 4_000_000  # items of arrays that must be read one by one
MAX_NAME = 65_535  # bytes
MAX_DEPTH = 4  # of arrays in arrays
MAX_DIMENSIONS = 8
_OLDEST, _NEWEST = 2, 3
_STRING, _ARRAY = 8, 9
_NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TYPES = (
    *("F32", "F16", "Q4_0", "Q4_1", "-", "-", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"),
    *("Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32"),
    *("I64", "F64", "IQ1_M", "BF16", "-", "-", "-", "TQ1_0", "TQ2_0", "-", "-", "-", "MXFP4"),
)


def gguf_of(source: Source) -> Tensors:
    """What a GGUF file says of itself. Raises Faulty, also for counts and lengths that lie."""
    reader = _Reader(Cursor(source))
    if reader.cursor.take(4) != b"GGUF":
        raise Faulty("The file is no GGUF")
    version = reader.number("<I")
    if not _OLDEST <= version <= _NEWEST:
        raise Faulty("The file is of a version of GGUF that is not known here, or of a machine with another byte order")
    tensors, entries = int(reader.number("<Q")), int(reader.number("<Q"))
    if tensors > MAX_TENSORS or entries > MAX_ENTRIES:
        raise Faulty("The header counts more tensors or entries than any model has")
    found = Tensors()
    for _ in range(entries):
        key = reader.text(MAX_NAME)
        found.tell(key, reader.value(int(reader.number("<I"))))
    for _ in range(tensors):
        found.add(_tensor(reader))
    found.header_bytes = reader.cursor.offset
    return found


def _tensor(reader: _Reader) -> Tensor:
    name, dimensions = reader.text(MAX_NAME), int(reader.number("<I"))
    if dimensions > MAX_DIMENSIONS:
        raise Faulty(f"The shape of {name[:100]} cannot be")
    shape = tuple(int(reader.number("<Q")) for _ in range(dimensions))
    kind = int(reader.number("<I"))
    reader.cursor.skip(8)
    if math.prod(shape) > MAX_DIMENSION:
        raise Faulty(f"The shape of {name[:100]} cannot be")
    known = _TYPES[kind] if kind < len(_TYPES) and _TYPES[kind] != "-" else f"type {kind}"
    return Tensor(name, known, shape, None)


class _Reader:
    """Reads values of GGUF."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self._items = 0

    def number(self, form: str) -> int | float | bool:
        """A number of that form of `struct`."""
        found: int | float | bool = struct.unpack(form, self.cursor.take(struct.calcsize(form)))[0]
        return found

    def text(self, most: int) -> str:
        """A text. Raises Faulty for one of more than `most` bytes."""
        length = int(self.number("<Q"))
        if length > most:
            raise Faulty("The header has a name that is too long")
        return self.cursor.take(length).decode(errors="replace")

    def value(self, kind: int, depth: int = 0) -> str:
        """A value of the metadata as a text, the beginning of a long one; arrays by how many items they have."""
        if kind in _NUMBERS:
            return str(self.number(_NUMBERS[kind]))
        if kind == _STRING:
            return self._long_text()
        if kind != _ARRAY or depth >= MAX_DEPTH:
            raise Faulty("The header has a value of a type that is not known")
        inner, count = int(self.number("<I")), int(self.number("<Q"))
        if inner in _NUMBERS:
            self.cursor.skip(count * struct.calcsize(_NUMBERS[inner]))
        else:
            self._pass(inner, count, depth)
        return f"{count} items" if count != 1 else "1 item"

    def _pass(self, inner: int, count: int, depth: int) -> None:
        self._items += count
        if self._items > MAX_ITEMS:
            raise Faulty("The header has arrays that are too long")
        for _ in range(count):
            if inner == _STRING:
                self.cursor.skip(int(self.number("<Q")))
            else:
                self.value(inner, depth + 1)

    def _long_text(self) -> str:
        length = int(self.number("<Q"))
        shown = self.cursor.take(min(length, 4 * MAX_VALUE))
        self.cursor.skip(length - len(shown))
        return shown.decode(errors="replace")
