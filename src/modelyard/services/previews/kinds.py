"""What a file is by its name, and as which type its bytes may be shown in a browser."""

from __future__ import annotations

from enum import StrEnum

UTF8 = "; charset=utf-8"


class Kind(StrEnum):
    """How a file is shown."""

    TEXT = "text"
    MARKDOWN = "markdown"
    TABLE = "table"
    JSON = "json"
    NOTEBOOK = "notebook"
    MLMODEL = "mlmodel"
    SAFETENSORS = "safetensors"
    GGUF = "gguf"
    NPY = "npy"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    PAGE = "page"  # HTML, in a frame
    PDF = "pdf"
    BINARY = "binary"


_IMAGES = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "ico": "image/x-icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}
_SOUNDS = {"flac": "audio/flac", "mp3": "audio/mpeg", "ogg": "audio/ogg", "opus": "audio/ogg", "wav": "audio/wav"}
_FILMS = {"mp4": "video/mp4", "webm": "video/webm"}
_TEXTS = {
    *("bat", "c", "cfg", "conf", "cpp", "css", "env", "go", "h", "hpp", "ini", "ipp", "java", "jinja", "js", "jsonl"),
    *("log", "lua", "mjs", "properties", "proto", "py", "pyi", "r", "rb", "rs", "rst", "sh", "sql", "tex", "toml"),
    *("ts", "tsx", "txt", "xhtml", "xml", "xsl", "yaml", "yml"),
}
_KINDS = {
    **dict.fromkeys(_IMAGES, Kind.IMAGE),
    **dict.fromkeys(_SOUNDS, Kind.AUDIO),
    **dict.fromkeys(_FILMS, Kind.VIDEO),
    **dict.fromkeys(_TEXTS, Kind.TEXT),
    "md": Kind.MARKDOWN,
    "markdown": Kind.MARKDOWN,
    "csv": Kind.TABLE,
    "tsv": Kind.TABLE,
    "json": Kind.JSON,
    "ipynb": Kind.NOTEBOOK,
    "safetensors": Kind.SAFETENSORS,
    "gguf": Kind.GGUF,
    "npy": Kind.NPY,
    "html": Kind.PAGE,
    "htm": Kind.PAGE,
    "pdf": Kind.PDF,
}
_TYPES = {
    **_IMAGES,
    **_SOUNDS,
    **_FILMS,
    "pdf": "application/pdf",
    "html": f"text/html{UTF8}",
    "htm": f"text/html{UTF8}",
}
_AS_TEXT = frozenset({Kind.TEXT, Kind.MARKDOWN, Kind.TABLE, Kind.JSON, Kind.NOTEBOOK, Kind.MLMODEL})


def suffix_of(name: str) -> str:
    """What follows the last dot of a file's name, in lower case; empty where there is none."""
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return suffix.lower() if dot and stem else ""


def kind_of(name: str) -> Kind | None:
    """How a file of that name is shown; None where only its bytes can tell."""
    if name.rpartition("/")[2] == "MLmodel":
        return Kind.MLMODEL
    return _KINDS.get(suffix_of(name))


def shown_type(name: str) -> str | None:
    """The Content-Type with which a browser may show a file in place; None for what it is to download.

    What is code to a browser, but for HTML and SVG, is shown as text.
    """
    if (listed := _TYPES.get(suffix_of(name))) is not None:
        return listed
    return f"text/plain{UTF8}" if kind_of(name) in _AS_TEXT else None
