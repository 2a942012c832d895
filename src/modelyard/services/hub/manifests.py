"""The files of a version at one time, as the text that its commit's id is made from.

The same version with the same files has the same id on every replica and after every restart, and no two lists share
one: the id is of the version, which is never another one's, and of each file's name and SHA-256.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

COMMIT_DIGITS = 40  # of the digest in hex: clients take nothing else for a commit
FASTEST = 1  # of zlib's levels: digests do not deflate, and names do so at any


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a commit."""

    name: str
    sha256: str
    size: int  # bytes


@dataclass(frozen=True)
class Manifest:
    """The files of a commit, a line each in the order of their names' bytes: digest, size, and after a tab the name.

    No name has a tab or a line feed in it (see `terms.paths`).
    """

    text: bytes

    @classmethod
    def of(cls, files: Iterable[tuple[str, str, int]]) -> Manifest:
        """The manifest of files, each by name, digest and bytes; every name is there once."""
        named = sorted((name.encode(), sha256, size) for name, sha256, size in files)
        return cls(b"".join(b"%s %d\t%s\n" % (sha256.encode(), size, name) for name, sha256, size in named))

    @classmethod
    def inflated(cls, kept: bytes) -> Manifest:
        """The manifest that was kept as `deflated`."""
        return cls(zlib.decompress(kept))

    def deflated(self) -> bytes:
        """The manifest as it is kept."""
        return zlib.compress(self.text, FASTEST)

    def commit_of(self, version_id: int) -> str:
        """The id of the commit in which that version has these files."""
        return _oid(b"version %d\n%s" % (version_id, self.text))

    def find(self, name: str) -> Entry | None:
        """The file of that name."""
        at = self.text.find(b"\t%s\n" % name.encode()) if "\n" not in name else -1
        if at < 0:
            return None
        return _entry(self.text[self.text.rfind(b"\n", 0, at) + 1 : self.text.index(b"\n", at)])

    def has_folder(self, name: str) -> bool:
        """Whether any file lies in a folder of that name."""
        return "\n" not in name and b"\t%s/" % name.encode() in self.text

    def entries(self) -> Iterator[Entry]:
        """All files, in the order of their names' bytes."""
        return map(_entry, self.text.split(b"\n")[:-1])

    @cached_property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(entry.size for entry in self.entries())


NO_FILES = Manifest(b"")


def commit_without_version(model_id: int) -> str:
    """The id of the empty commit that a model has for as long as it has no version."""
    return _oid(b"model %d\n" % model_id)


def _entry(line: bytes) -> Entry:
    facts, _, name = line.partition(b"\t")
    sha256, _, size = facts.partition(b" ")
    return Entry(name.decode(), sha256.decode(), int(size))


def _oid(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:COMMIT_DIGITS]
