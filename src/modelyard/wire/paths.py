"""Addresses: request paths are routed while still percent-encoded, then each segment is decoded once.

So `group%2Fproject` is one segment, and `%2F` in a file name never becomes a separator.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from modelyard.errors import ParameterError
from modelyard.terms.paths import (
    CANDIDATE,
    DIGITS,
    LOGGED_MODELS_ROOT,
    MAX_NAME_BYTES,
    NOBODY,
    PROJECTS_ROOT,
    OwnerKind,
    OwnerRef,
    ProjectRef,
    parse_id,
    segment_faults,
)

_MALFORMED_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


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
    if DIGITS.fullmatch(text):
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


def parse_file_name(raw: str) -> str:
    """`(*path/):file_name`, still encoded, as the name under which a file is kept: `my_dir/model.pkl`.

    Raises ParameterError with GitLab's sentences for a name that the rule refuses.
    """
    if len(raw) > 3 * MAX_NAME_BYTES:  # characters, up to three of which stand for a byte
        raise ParameterError("path is invalid")
    *directories, file_name = (_decoded(segment) for segment in raw.split("/"))
    faults = segment_faults("file_name", file_name)
    for directory in directories:
        faults = faults or segment_faults("path", directory)
    name = "/".join(segment or "" for segment in (*directories, file_name))
    if not faults and len(name.encode()) > MAX_NAME_BYTES:
        faults = ["path is invalid"]
    if faults:
        raise ParameterError(", ".join(faults))
    return name


def parse_named(name: str) -> str:
    """A name that came as a text of its own, not encoded, by the same rule."""
    return parse_file_name(quote(name, safe="/"))


def _decoded(segment: str) -> str | None:
    try:
        return decode_segment(segment)
    except ValueError:
        return None
