"""What the tests of the stores share."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from modelyard.blobs.store import BlobStore

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
SHARD = f"sha256/{DIGEST[:2]}/{DIGEST[2:4]}"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(store: BlobStore, content: bytes = CONTENT) -> str:
    with store.begin() as writer:
        writer.write([content])
        writer.publish()
        return writer.digest()


def files(root: Path) -> list[str]:
    """Everything below `root` that is not a folder, as relative paths."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def failing(number: int) -> Callable[..., int]:
    """A function that raises the OSError of that number whatever it is given."""

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail
