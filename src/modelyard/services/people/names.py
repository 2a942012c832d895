"""Names that become part of a project's path: user names, namespaces and projects (GitLab's path rule)."""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 255  # characters
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?<![.])", re.ASCII)
_RESERVED_ENDINGS = (".git", ".atom")


def is_path_segment(text: str) -> bool:
    """Letters, digits, `_`, `-` and `.`; not beginning with `-` or `.`, not ending in `.`, `.git` or `.atom`."""
    return (
        len(text) <= MAX_LENGTH
        and _SEGMENT.fullmatch(text) is not None
        and not text.lower().endswith(_RESERVED_ENDINGS)
    )


def slug(name: str) -> str:
    """The path that a project of that name gets when none is given, `My Model` -> `my-model`; may be empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_.]+", "-", plain).strip("-.")
