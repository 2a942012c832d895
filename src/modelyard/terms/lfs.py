"""Files as Git has them by Git LFS: a pointer in their place (git-lfs's specification, version 1)."""

from __future__ import annotations

import hashlib

VERSION_LINE = b"version https://git-lfs.github.com/spec/v1\n"


def pointer(sha256: str, size: int) -> bytes:
    """The pointer to a file of that digest, in hex, and size in bytes."""
    return b"%soid sha256:%s\nsize %d\n" % (VERSION_LINE, sha256.encode(), size)


def blob_id(sha256: str, size: int) -> str:
    """The id, in hex, that Git gives the pointer to a file."""
    content = pointer(sha256, size)
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()
