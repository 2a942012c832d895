"""What must be found in a registry by the answers that one client got, whatever happened to the server since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Files = Mapping[str, tuple[str, ...]]
"""By name the digests of its files, the oldest first and the newest, which is served, last."""


@dataclass
class Ledger:
    """The files that are there for certain, and what an unanswered request may have made of them."""

    files: Files = field(default_factory=dict)
    intended: Files | None = None

    def begin(self, after: Files) -> None:
        """A request is about to be sent; if it is done, the files are these."""
        self.intended = after

    def end(self, *, done: bool) -> None:
        """The request was answered, or it can never be done, since not all of it was sent."""
        if done and self.intended is not None:
            self.files = self.intended
        self.intended = None

    def settle(self, found: Files) -> bool:
        """Whether the files that were found can be there; they are certain from now on."""
        if found not in (self.files, self.intended):
            return False
        self.files, self.intended = found, None
        return True


def uploaded(files: Files, name: str, digest: str) -> Files:
    """The files after an upload: the bytes that are served already change nothing."""
    before = files.get(name, ())
    return files if before[-1:] == (digest,) else {**files, name: (*before, digest)}


def deleted(files: Files, name: str, index: int) -> Files:
    """The files without one of those of a name."""
    kept = files[name][:index] + files[name][index + 1 :]
    return {each: digests for each, digests in {**files, name: kept}.items() if digests}
