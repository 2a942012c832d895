"""Names that become part of a project's path: user names, namespaces and projects (GitLab's path rule)."""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 255  # characters
# What begins the paths of pages and APIs, here and in GitLab: no namespace can be called so.
RESERVED_ROOTS = frozenset(
    {
        *("admin", "api", "assets", "buckets", "dashboard", "datasets", "docs", "explore", "favicon.ico", "files"),
        *("groups", "health", "health_check", "help", "import", "jwt", "kernels", "login", "metrics", "models"),
        *("oauth", "openapi.json", "profile", "projects", "public", "robots.txt", "search", "sitemap.xml"),
        *("snippets", "spaces", "static", "unsubscribes", "uploads", "users", "v2"),
    }
)
RESERVED = "is a reserved name"
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?<![.])", re.ASCII)
_RESERVED_ENDINGS = (".git", ".atom")


def is_path_segment(text: str) -> bool:
    """Letters, digits, `_`, `-` and `.`; not beginning with `-` or `.`, not ending in `.`, `.git` or `.atom`."""
    return (
        len(text) <= MAX_LENGTH
        and _SEGMENT.fullmatch(text) is not None
        and not text.lower().endswith(_RESERVED_ENDINGS)
    )


def is_reserved(root: str) -> bool:
    """Whether a namespace at the top cannot be called so, whatever the case: paths of the server begin with it."""
    return root.lower() in RESERVED_ROOTS


def slug(name: str) -> str:
    """The path that a project of that name gets when none is given, `My Model` -> `my-model`; may be empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_.]+", "-", plain).strip("-.")
