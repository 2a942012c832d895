"""Addresses: request paths are routed while still percent-encoded, then each segment is decoded once.

So `group%2Fproject` is one segment, and `%2F` in a file name never becomes a separator.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote, unquote_to_bytes

from modelyard.errors import ParameterError

MAX_SEGMENT_BYTES = 255
MAX_NAME_BYTES = 1024
NOBODY = -1  # an id that nothing has
LOGGED_MODELS_ROOT = "models"
CANDIDATE = "candidate:"
PROJECTS_ROOT = "projects"

ProjectRef = int | str  # an id, or a path `namespace/name`

_MALFORMED_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_STEPS = frozenset({b".", b".."})
_DIGITS = re.compile(r"-?[0-9]{1,19}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
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
    text = _decode_id(segment)
    if _DIGITS.fullmatch(text):
        return int(text)
    return text if "/" in text else NOBODY


def parse_key(segment: str) -> int | str:
    """An id, or the name of what has no digits for one; what cannot be read becomes NOBODY."""
    try:
        text = decode_segment(segment)
    except ValueError:
        return NOBODY
    number = parse_id(text)
    return text if number == NOBODY else number


def parse_owner(segment: str) -> OwnerRef:
    """`:model_version_id`, a version id or `candidate:<iid>`; anything else becomes NOBODY's."""
    text = _decode_id(segment)
    kind = OwnerKind.CANDIDATE if text.startswith(CANDIDATE) else OwnerKind.VERSION
    return OwnerRef(kind, parse_id(text.removeprefix(CANDIDATE)))


def _decode_id(segment: str) -> str:
    """A segment that names a project or an owner, decoded; empty for one that cannot be, or is longer than any.

    None of their names has a `%`. Where a file's name has one that is not encoded, Python's requests encodes each `%`
    of the URL once more, so that `group%252Fproject` arrives: what is left to decode is decoded.
    """
    if len(segment) > 3 * MAX_NAME_BYTES:
        return ""
    try:
        text = decode_segment(segment)
        return decode_segment(text) if "%" in text else text
    except ValueError:
        return ""


def parse_artifact_path(path: str) -> tuple[OwnerRef, str]:
    """A path below MLflow's `artifacts/`, still encoded: whose files are meant, and the rest of the path, encoded.

    Roots are those of the file API, and `models/m-…` for a logged model.
    """
    root, _, rest = path.partition("/")
    if root != LOGGED_MODELS_ROOT:
        return parse_owner(root), rest
    model_id, _, rest = rest.partition("/")
    return OwnerRef(OwnerKind.LOGGED_MODEL, _decode_id(model_id)), rest


def split_project(path: str) -> tuple[int | None, str]:
    """A path below MLflow's `artifacts/` without the `projects/<id>/` that it may begin with, and that id."""
    if not path.startswith(f"{PROJECTS_ROOT}/"):
        return None, path
    project, _, rest = path.removeprefix(f"{PROJECTS_ROOT}/").partition("/")
    return parse_id(project), rest


def artifact_uri(project_id: int, owner: int | str) -> str:
    """The URI by which MLflow's clients name the files of a version (its id), `candidate:<iid>` or `models/m-…`.

    To download what lies there, they take its last segment off and put what is left below the tracking URI, but only
    if something is left. With the project in it, it names the same files below any project's tracking URI: the
    registry may be another project than tracking is.
    """
    return f"mlflow-artifacts:/{PROJECTS_ROOT}/{project_id}/{owner}"


def parse_id(text: str) -> int:
    """A positive id written in decimal digits, or NOBODY."""
    return int(text) if text.isascii() and text.isdigit() and _DIGITS.fullmatch(text) else NOBODY


def is_printable(text: str) -> bool:
    """Whether a name can be shown for what it is: no control characters, and none that reorder the text around them."""
    if text.isascii():
        return text.isprintable()
    return not any(c in _REORDERING or unicodedata.category(c) in _UNPRINTABLE for c in text)


def parse_file_name(raw: str) -> str:
    """`(*path/):file_name`, still encoded, as the name under which a file is kept: `my_dir/model.pkl`.

    Raises ParameterError with GitLab's sentences for a name that the rule refuses.
    """
    if len(raw) > 3 * MAX_NAME_BYTES:  # characters, up to three of which stand for a byte
        raise ParameterError("path is invalid")
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


def shown_by_mlflow(name: str) -> str:
    """A file's name as MLflow's clients take it from a listing (`validate_path_is_safe`), and ask for it: they decode
    it until there is nothing left to decode, bytes that are no UTF-8 become U+FFFD, and control characters are escaped.
    """
    while "%" in name and (decoded := unquote(name)) != name:
        name = decoded
    return _CONTROL.sub(lambda found: f"%{ord(found[0]):02x}", name)


def stored_form(name: str) -> str:
    """A file's name as GitLab's listings show it: percent-encoded as one component, `my_dir%2Fmodel.pkl`."""
    return quote(name, safe="*").replace("~", "%7E")


def _decoded(segment: str) -> str | None:
    try:
        return decode_segment(segment)
    except ValueError:
        return None


def _faults(parameter: str, segment: str | None) -> list[str]:
    if segment is None:
        return [f"{parameter} is invalid"]
    faults, hides_a_step = [], _hides_a_step(segment)
    if hides_a_step or _traverses(segment):
        faults.append(f"{parameter} should be a valid file path")
    if hides_a_step or not _is_name(segment):
        faults.append(f"{parameter} is invalid")
    return faults


def _traverses(segment: str) -> bool:
    """Whether the segment would leave its directory, were it a path on disk (GitLab's file_path validator)."""
    steps = re.split(r"[/\\]", segment)
    return segment == "." or ".." in steps or "\n" in segment or segment.startswith(("/", "\\"))


def _hides_a_step(segment: str) -> bool:
    """Whether whoever decodes the name again, however often, may find `.`, `..` or a separator.

    Here it is decoded no more; but a client may, or a proxy, and write to a path that it did not mean.
    """
    if "%" not in segment or len(segment) > MAX_SEGMENT_BYTES:
        return False
    encoded = segment.encode()
    while (decoded := unquote_to_bytes(encoded)) != encoded:
        if decoded in _STEPS or b"/" in decoded or b"\\" in decoded:
            return True
        encoded = decoded
    return False


def _is_name(segment: str) -> bool:
    if not segment or len(segment.encode()) > MAX_SEGMENT_BYTES:
        return False
    return "/" not in segment and "\\" not in segment and is_printable(segment)
