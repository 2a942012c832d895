"""Addresses: request paths are routed while still percent-encoded, then each segment is decoded once.

So `group%2Fproject` is one segment, and `%2F` in a file name never becomes a separator.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote_to_bytes

from modelyard.errors import ParameterError

MAX_SEGMENT_BYTES = 255
MAX_NAME_BYTES = 1024
NOBODY = -1  # an id that nothing has
LOGGED_MODELS_ROOT = "models"

ProjectRef = int | str  # an id, or a path `namespace/name`

_MALFORMED_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED_TWICE = re.compile(r"%[0-9A-Fa-f]{2}")
_DIGITS = re.compile(r"-?[0-9]{1,19}")
_CANDIDATE = "candidate:"
# Control characters, and line and paragraph separators. Format characters stay, as emoji are joined by them …
_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp"})
# … but for those that reorder the text around them, and so make one name look like another.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class OwnerKind(Enum):
    """What can have files."""

    VERSION = "version"
    CANDIDATE = "candidate"
    LOGGED_MODEL = "logged model"


@dataclass(frozen=True, slots=True)
class OwnerRef:
    """Whose files are meant: a version by its global id, a candidate by its iid, a logged model by its id `m-…`."""

    kind: OwnerKind
    key: int | str


def normalize_path(raw_path: bytes) -> str:
    """The path that is routed: still encoded, repeated slashes squeezed, no trailing one (as in GitLab)."""
    path = raw_path.decode("latin-1")
    return "/" + (re.sub("/+", "/", path) if "//" in path else path).strip("/")


def decode_segment(segment: str) -> str:
    """Percent-decode one path segment, once.

    Raises ValueError for a `%` without two hex digits and for bytes that are not UTF-8.
    """
    if _MALFORMED_ESCAPE.search(segment):
        raise ValueError("malformed percent-encoding")
    return unquote_to_bytes(segment.encode("latin-1")).decode()


def parse_project(segment: str) -> ProjectRef:
    """`:id`, a number or a URL-encoded path; anything that no project can have becomes NOBODY."""
    try:
        text = decode_segment(segment)
    except ValueError:
        return NOBODY
    if _DIGITS.fullmatch(text):
        return int(text)
    return text if "/" in text else NOBODY


def parse_owner(segment: str) -> OwnerRef:
    """`:model_version_id`, a version id or `candidate:<iid>`; anything else becomes NOBODY's."""
    try:
        text = decode_segment(segment)
    except ValueError:
        return OwnerRef(OwnerKind.VERSION, NOBODY)
    kind = OwnerKind.CANDIDATE if text.startswith(_CANDIDATE) else OwnerKind.VERSION
    return OwnerRef(kind, parse_id(text.removeprefix(_CANDIDATE)))


def parse_artifact_path(path: str) -> tuple[OwnerRef, str]:
    """A path below MLflow's `artifacts/`, still encoded: whose files are meant, and the rest of the path, encoded.

    Roots are those of the file API, and `models/m-…` for a logged model.
    """
    root, _, rest = path.partition("/")
    if root != LOGGED_MODELS_ROOT:
        return parse_owner(root), rest
    model_id, _, rest = rest.partition("/")
    try:
        return OwnerRef(OwnerKind.LOGGED_MODEL, decode_segment(model_id)), rest
    except ValueError:
        return OwnerRef(OwnerKind.LOGGED_MODEL, ""), rest


def parse_id(text: str) -> int:
    """A positive id written in decimal digits, or NOBODY."""
    return int(text) if text.isascii() and text.isdigit() and _DIGITS.fullmatch(text) else NOBODY


def parse_file_name(raw: str) -> str:
    """`(*path/):file_name`, still encoded, as the name under which a file is kept: `my_dir/model.pkl`.

    Raises ParameterError with GitLab's sentences for a name that the rule refuses.
    """
    *directories, file_name = (_decoded(segment) for segment in raw.split("/"))
    faults = _faults("file_name", file_name)
    for directory in directories:
        faults = faults or _faults("path", directory)
    name = "/".join(segment or "" for segment in (*directories, file_name))
    if not faults and len(name.encode()) > MAX_NAME_BYTES:
        faults = ["path is invalid"]
    if faults:
        raise ParameterError(", ".join(faults))
    return name


def stored_form(name: str) -> str:
    """A file's name as GitLab's listings show it: percent-encoded as one component, `my_dir%2Fmodel.pkl`."""
    return quote(name, safe="*").replace("~", "%7E")


def _decoded(segment: str) -> str | None:
    try:
        return decode_segment(segment)
    except ValueError:
        return None


def _faults(parameter: str, segment: str | None) -> list[str]:
    faults = []
    if segment is not None and (_traverses(segment) or _ENCODED_TWICE.search(segment)):
        faults.append(f"{parameter} should be a valid file path")
    if segment is None or not _is_name(segment):
        faults.append(f"{parameter} is invalid")
    return faults


def _traverses(segment: str) -> bool:
    """Whether the segment would leave its directory, were it a path on disk (GitLab's file_path validator)."""
    steps = re.split(r"[/\\]", segment)
    return segment == "." or ".." in steps or "\n" in segment or segment.startswith(("/", "\\"))


def _is_name(segment: str) -> bool:
    if not segment or len(segment.encode()) > MAX_SEGMENT_BYTES or _ENCODED_TWICE.search(segment):
        return False
    if segment.isascii() and segment.isprintable():
        return "/" not in segment and "\\" not in segment
    return not any(c in "/\\" or c in _REORDERING or unicodedata.category(c) in _UNPRINTABLE for c in segment)
