"""Headers of the IETF's draft of resumable uploads (draft-ietf-httpbis-resumable-upload), and of a PUT that goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping

INTEROP = "Upload-Draft-Interop-Version"
SPOKEN = frozenset({"6", "8"})  # of drafts -04 and -05, and of -12
CHUNK_TYPE = "application/partial-upload"
PROBLEM_TYPE = "application/problem+json"
MISMATCHING_OFFSET = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
INCONSISTENT_LENGTH = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"

BOOLEANS = {"?0": False, "?1": True}  # RFC 9651 section 3.3.6
_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")


def complete(headers: Mapping[str, str]) -> bool | None:
    """What `Upload-Complete` says; None without it. Raises ValueError for what is no boolean."""
    text = headers.get("upload-complete")
    if text is None:
        return None
    if text.strip() not in BOOLEANS:
        raise ValueError("Upload-Complete is neither ?0 nor ?1")
    return BOOLEANS[text.strip()]


def is_spoken(headers: Mapping[str, str]) -> bool:
    """Whether the client means a draft that is spoken here, or says of none."""
    return headers.get(INTEROP.lower(), "8") in SPOKEN


def content_range(text: str) -> tuple[int, int, int | None] | None:
    """First byte, bytes, and length of the whole (None: not told) of a PUT's `Content-Range`; None where it is none."""
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        return None
    first, last, length = int(found[1]), int(found[2]), None if found[3] == "*" else int(found[3])
    if last < first or (length is not None and last >= length):
        return None
    return first, last + 1 - first, length


def limits(max_size: int, seconds: int) -> str:
    """`Upload-Limit`, where 0 bytes stand for no limit."""
    return ", ".join([*([f"max-size={max_size}"] if max_size else []), "min-size=0", f"max-age={seconds}"])
