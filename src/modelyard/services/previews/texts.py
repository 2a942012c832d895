"""Texts: their beginning, tables out of it, JSON and notebooks."""

from __future__ import annotations

import base64
import binascii
import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from modelyard.services.previews.source import TEXT_BYTES, Faulty, Source

SNIFFED_BYTES = 4096
MAX_ROWS, MAX_COLUMNS, MAX_CELL = 100, 100, 300  # rows, columns, and characters of a cell
NOTEBOOK_BYTES = 5_000_000
MAX_CELLS, MAX_OUTPUTS, MAX_OUTPUT, MAX_PICTURE = 200, 20, 10_000, 700_000  # the latter two in characters
_PICTURES = ("image/png", "image/jpeg")


@dataclass(frozen=True, slots=True)
class Text:
    """The beginning of a text, or all of it."""

    text: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Table:
    """The first rows of a table; `header` is its first line."""

    header: list[str]
    rows: list[list[str]]
    whole: bool


@dataclass(frozen=True, slots=True)
class Output:
    """What a cell of a notebook has printed: a text, or a picture as a `data:` URL."""

    text: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a notebook."""

    kind: str  # `markdown`, `code` or `raw`
    text: str
    outputs: list[Output]


@dataclass(frozen=True, slots=True)
class Notebook:
    """The first cells of a notebook."""

    language: str
    cells: list[Cell]
    whole: bool


def is_text(source: Source) -> bool:
    """Whether a file begins as a text does."""
    begin = source.read(0, SNIFFED_BYTES)
    if b"\0" in begin:
        return False
    try:
        begin.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(begin) - 3 and len(begin) == SNIFFED_BYTES
    return True


def text_of(source: Source, limit: int = TEXT_BYTES) -> Text:
    """The beginning of a text; bytes that are no UTF-8 are shown as U+FFFD. Raises Faulty for what is none."""
    begin = source.read(0, limit)
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Text(begin.decode("utf-16", errors="replace"), source.size <= limit)
    if b"\0" in begin:
        raise Faulty("The file is no text")
    return Text(begin.decode("utf-8-sig", errors="replace"), source.size <= limit)


def table_of(source: Source, *, tabs: bool) -> Table:
    """The first rows of comma- or tab-separated values. Raises Faulty."""
    begun = text_of(source)
    text = begun.text if begun.whole else begun.text.rpartition("\n")[0]
    try:
        rows = list(islice(csv.reader(text.splitlines(keepends=True), delimiter="\t" if tabs else ","), MAX_ROWS + 2))
    except csv.Error as error:
        raise Faulty(f"The table cannot be read: {error}") from error
    shown = [[cell[:MAX_CELL] for cell in row[:MAX_COLUMNS]] for row in rows]
    if not shown:
        return Table([], [], begun.whole)
    widest = max(len(row) for row in shown)
    filled = [row + [""] * (widest - len(row)) for row in shown]
    whole = begun.whole and len(rows) <= MAX_ROWS + 1 and all(len(row) <= MAX_COLUMNS for row in rows)
    return Table(filled[0], filled[1 : MAX_ROWS + 1], whole)


def json_of(source: Source) -> Text:
    """JSON with a line for each value, where all of it is shown; the beginning of a longer one as it is.

    Raises Faulty for what is no JSON.
    """
    begun = text_of(source)
    if not begun.whole:
        return begun
    value = _loaded(begun.text)
    return begun if begun.text.count("\n") > 1 else Text(json.dumps(value, indent=2, ensure_ascii=False), whole=True)


def notebook_of(source: Source) -> Notebook:
    """The cells of a Jupyter notebook. Raises Faulty."""
    if source.size > NOTEBOOK_BYTES:
        raise Faulty(f"The notebook is larger than {NOTEBOOK_BYTES // 1_000_000} MB")
    told = _loaded(text_of(source, NOTEBOOK_BYTES).text)
    if not isinstance(told, Mapping) or not isinstance(cells := told.get("cells"), list):
        raise Faulty("The file is no notebook of format 4")
    found = [_cell(each) for each in cells[:MAX_CELLS] if isinstance(each, Mapping)]
    about = told.get("metadata")
    kernel = about.get("language_info") if isinstance(about, Mapping) else None
    language = kernel.get("name", "") if isinstance(kernel, Mapping) else ""
    return Notebook(str(language)[:50], found, len(cells) <= MAX_CELLS)


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Faulty(f"The file is no JSON: {str(error)[:200]}") from error
    except RecursionError as error:
        raise Faulty("The JSON is nested too deeply") from error


def _cell(cell: Mapping[str, object]) -> Cell:
    outputs = cell.get("outputs")
    told = [each for each in outputs[:MAX_OUTPUTS] if isinstance(each, Mapping)] if isinstance(outputs, list) else []
    return Cell(
        str(cell.get("cell_type", "raw"))[:20],
        _joined(cell.get("source"))[:TEXT_BYTES],
        [output for each in told for output in _outputs(each)],
    )


def _outputs(output: Mapping[str, object]) -> Iterator[Output]:
    if (text := _joined(output.get("text"))) or (text := _joined(output.get("traceback"))):
        yield Output(text[:MAX_OUTPUT])
    data = output.get("data")
    if not isinstance(data, Mapping):
        return
    for kind in _PICTURES:
        encoded = "".join(_joined(data.get(kind)).split())
        if encoded and len(encoded) <= MAX_PICTURE and _is_base64(encoded):
            yield Output(picture=f"data:{kind};base64,{encoded}")
            return
    if text := _joined(data.get("text/plain")):
        yield Output(text[:MAX_OUTPUT])


def _joined(lines: object) -> str:
    if isinstance(lines, list):
        return "".join(each for each in lines if isinstance(each, str))
    return lines if isinstance(lines, str) else ""


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
