"""Names of files, by the server's rule: what it refuses is told before the first byte, and what leaves a folder never
becomes a path.
"""

from __future__ import annotations

import unicodedata
from urllib.parse import quote, unquote_to_bytes

from modelyard_client.errors import Mismatch, UsageMistake

MAX_SEGMENT_BYTES = 255
MAX_NAME_BYTES = 1024

_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp", "Cs"})
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# What a file system of Windows takes for something else: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICES = frozenset({"con", "prn", "aux", "nul"} | {f"{kind}{n}" for kind in ("com", "lpt") for n in range(1, 10)})
_NOT_IN_WINDOWS = frozenset('<>:"|?*')


def require_sendable(name: str) -> None:
    """Raise UsageMistake for a name that the server would refuse."""
    fault = _fault(name)
    if fault is not None:
        raise UsageMistake(f"The server takes no file named {name!r}: {fault}")


def require_inside(name: str, *, windows: bool) -> None:
    """Raise Mismatch for a server's name that would not be a file below the folder, or would be another one."""
    fault = _fault(name)
    if fault is None and windows:
        fault = next((found for found in map(_fault_in_windows, name.split("/")) if found), None)
    if fault is not None:
        raise Mismatch(f"The name {name!r} is refused: {fault}")


def in_url(name: str) -> str:
    """A name as it stands in a URL's path."""
    return quote(name, safe="/")


def _fault(name: str) -> str | None:
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "it is not UTF-8"
    if len(encoded) > MAX_NAME_BYTES:
        return f"it has more than {MAX_NAME_BYTES} bytes"
    return next((found for found in map(_fault_of_segment, name.split("/")) if found), None)


def _fault_of_segment(segment: str) -> str | None:
    if segment in {"", ".", ".."} or _hides_a_step(segment):
        return "it leaves its folder"
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        return f"a part of it has more than {MAX_SEGMENT_BYTES} bytes"
    if "\\" in segment:
        return "it has a backslash"
    if any(c in _REORDERING or unicodedata.category(c) in _UNPRINTABLE for c in segment):
        return "it has a character that cannot be printed"
    return None


def _hides_a_step(segment: str) -> bool:
    encoded = segment.encode()
    while (decoded := unquote_to_bytes(encoded)) != encoded:
        if decoded in {b".", b".."} or b"/" in decoded or b"\\" in decoded:
            return True
        encoded = decoded
    return False


def _fault_in_windows(segment: str) -> str | None:
    if segment.partition(".")[0].lower() in _DEVICES or segment[-1] in ". " or _NOT_IN_WINDOWS & set(segment):
        return "Windows has no such file"
    return None
