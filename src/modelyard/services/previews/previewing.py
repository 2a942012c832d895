"""The one way in: what is shown of a file of some name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modelyard.services.previews.gguf import gguf_of
from modelyard.services.previews.kinds import Kind, kind_of, suffix_of
from modelyard.services.previews.mlmodel import mlmodel_of
from modelyard.services.previews.source import Faulty, Source
from modelyard.services.previews.tensors import npy_of, safetensors_of
from modelyard.services.previews.texts import is_text, json_of, notebook_of, table_of, text_of

MAX_MEDIA_BYTES = 50 * 1024 * 1024  # that a page loads by itself


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a file: `found` is what its kind has (`Text`, `Table`, `Tensors` …), None for what a browser
    shows by itself; `fault` says why a file is not shown as what its name says, and `found` is None or a `Text` then.
    """

    kind: Kind
    found: object = None
    fault: str = ""


_READERS: Mapping[Kind, Callable[[Source, str], object]] = {
    Kind.TEXT: lambda source, _: text_of(source),
    Kind.MARKDOWN: lambda source, _: text_of(source),
    Kind.TABLE: lambda source, name: table_of(source, tabs=suffix_of(name) == "tsv"),
    Kind.JSON: lambda source, _: json_of(source),
    Kind.NOTEBOOK: lambda source, _: notebook_of(source),
    Kind.MLMODEL: lambda source, _: mlmodel_of(source),
    Kind.SAFETENSORS: lambda source, _: safetensors_of(source),
    Kind.GGUF: lambda source, _: gguf_of(source),
    Kind.NPY: lambda source, _: npy_of(source),
}
_WRITTEN = frozenset({Kind.TABLE, Kind.JSON, Kind.NOTEBOOK, Kind.MLMODEL})  # which are shown as texts where they fail
_MEDIA = frozenset({Kind.IMAGE, Kind.AUDIO, Kind.VIDEO, Kind.PDF, Kind.PAGE})


def preview_of(source: Source, name: str) -> Preview:
    """What is shown of a file. Blocks. Raises what reading the file raises."""
    kind = kind_of(name) or (Kind.TEXT if is_text(source) else Kind.BINARY)
    if kind in _MEDIA and source.size > MAX_MEDIA_BYTES and kind not in (Kind.AUDIO, Kind.VIDEO):
        return Preview(kind, fault=f"The file is larger than {MAX_MEDIA_BYTES // 1024**2} MiB, and not shown here.")
    if kind not in _READERS:
        return Preview(kind)
    try:
        return Preview(kind, _READERS[kind](source, name))
    except Faulty as error:
        return Preview(kind, _as_text(source) if kind in _WRITTEN else None, f"{error}.")


def _as_text(source: Source) -> object:
    try:
        return text_of(source)
    except Faulty:
        return None
