"""When to try again: after what may pass by itself, ever later, and as `Retry-After` says. Nothing is asked forever."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from modelyard_client.errors import ClientError
from modelyard_client.progress import Progress
from modelyard_client.results import Retry
from modelyard_client.stopping import Stop

# 423: another request is at the upload, or it is being verified. 460 is tus' checksum that does not match.
PASSING = frozenset({408, 423, 425, 429, 460, 500, 502, 503, 504})
AWAY = frozenset({502, 503, 504})  # that a server which is restarted answers, or whoever stands before it
TRIES = 6
PATIENT_TRIES = 16  # in some four minutes, in which a server is restarted, and a line comes back
FIRST_SECONDS = 0.5
MOST_SECONDS = 30.0
MOST_RETRY_AFTER = 300.0  # whoever says more is taken at his word, and the call ends


class TryAgain(Exception):
    """A try that failed for a reason that may pass; `error` is what is raised where it does not.

    `away`: nobody answers for the server, which is no fault of what was asked.
    """

    def __init__(self, error: ClientError, retry_after: float | None = None, *, away: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after
        self.away = away


class Telling:
    """Tells of what is tried again: at once, and of one where all connections fail for the same reason."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._until = 0.0  # when what was told last is over

    def __call__(self, retry: Retry) -> None:
        """Tell, unless another that was told waits about as long."""
        with self._lock:
            at = time.monotonic()
            if retry.seconds <= 2 * (self._until - at):
                return
            self._until = at + retry.seconds
        self._progress.retries(retry)


def _silent(retry: Retry) -> None:
    """Tell nobody."""


class Tries:
    """Counts the tries of one piece of work. Whatever gets on begins the count anew.

    `away`: how many there are while the server is.
    """

    def __init__(
        self, stop: Stop, most: int = TRIES, tell: Callable[[Retry], None] = _silent, *, away: int = TRIES
    ) -> None:
        self._stop = stop
        self._most = most
        self._away = away
        self._tell = tell
        self._failed = 0

    def progressed(self) -> None:
        """Forget earlier failures: something has got on."""
        self._failed = 0

    def failed(self, again: TryAgain) -> None:
        """Wait until the next try. Raises the error where there is none, and Interrupted."""
        self._failed += 1
        most, wait = self._away if again.away else self._most, again.retry_after
        if self._failed >= most or (wait is not None and wait > MOST_RETRY_AFTER):
            raise again.error from again
        if wait is None or again.away:
            later = min(MOST_SECONDS, FIRST_SECONDS * 2 ** (self._failed - 1)) * random.uniform(0.5, 1)  # noqa: S311
            wait = max(wait or 0.0, later)
        if wait:
            self._tell(Retry(again.error.sentence, round(wait, 1), self._failed, most - 1))
        self._stop.wait(wait)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks to wait for (RFC 9110 section 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
