"""Uploads that clients may carry out by themselves and have not had taken over yet: how many a user has open."""

from __future__ import annotations

import threading

from modelyard.clock import Milliseconds

MAX_OPEN = 1000  # of a user; each may leave its parts in the bucket until `gc` finds them


class OpenOffers:
    """The offers of this process that may still be used, by user; from any thread.

    Other replicas count theirs. One that ends elsewhere counts here until its time is over, so whoever has many open
    is not refused: the uploads that follow pass through the server.
    """

    def __init__(self, limit: int = MAX_OPEN) -> None:
        self._limit = limit
        self._open: dict[int, dict[str, Milliseconds]] = {}  # until when, which ascends, by upload
        self._lock = threading.Lock()

    def has_room(self, user_id: int, at: Milliseconds) -> bool:
        """Whether a user may have one more."""
        with self._lock:
            offers = self._open.get(user_id, {})
            for upload_id in [each for each, until in offers.items() if until <= at]:
                self._forget(user_id, upload_id)
            return len(offers) < self._limit

    def note(self, user_id: int, upload_id: str, until: Milliseconds) -> None:
        """Count an offer until then."""
        with self._lock:
            self._open.setdefault(user_id, {})[upload_id] = until

    def end(self, user_id: int, upload_id: str) -> None:
        """Count an offer no longer, if it was one of this process."""
        with self._lock:
            self._forget(user_id, upload_id)

    def _forget(self, user_id: int, upload_id: str) -> None:
        offers = self._open.get(user_id, {})
        offers.pop(upload_id, None)
        if not offers:
            self._open.pop(user_id, None)
