"""What is remembered of references, so that a blob that is in demand is opened by one request."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from modelyard.blobs.store import Digest

if TYPE_CHECKING:
    from modelyard.blobs.s3.layout import Reference

# Data outlives its reference by a day, so it can be read all the while; a blob that was damaged, and uploaded anew by
# another process, is read as it was for so long.
REMEMBERED_SECONDS = 60.0
MOST = 10_000


class Remembered:
    """The references that were read or written last, for any number of threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[Digest, tuple[Reference, float]] = OrderedDict()

    def get(self, digest: Digest) -> Reference | None:
        """The reference of a digest, if it was put in lately."""
        with self._lock:
            reference, until = self._known.get(digest, (None, 0.0))
            return reference if time.monotonic() < until else None

    def put(self, digest: Digest, reference: Reference) -> None:
        """Remember a reference that the bucket has now."""
        with self._lock:
            self._known[digest] = reference, time.monotonic() + REMEMBERED_SECONDS
            self._known.move_to_end(digest)
            while len(self._known) > MOST:
                self._known.popitem(last=False)

    def forget(self, digest: Digest) -> None:
        """Ask the bucket the next time."""
        with self._lock:
            self._known.pop(digest, None)
