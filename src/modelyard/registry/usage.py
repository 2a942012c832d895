"""When tokens were last used and packages last downloaded: noted in memory, written by `services.traffic.usage`.

A write for every request would cost more than most requests do.
"""

from __future__ import annotations

from collections.abc import Hashable

from modelyard.clock import Milliseconds, now

MAX_ENTERED = 10_000

Moments = dict[int, Milliseconds]  # by id


class LastUsed:
    """The last uses of things of one kind. Any thread may note one; taking and settling is for one at a time."""

    def __init__(self) -> None:
        self._seen: Moments = {}
        self._written: Moments = {}

    def note(self, id_: int) -> None:
        """It is used now."""
        self._seen[id_] = now()

    def due(self, pause: Milliseconds) -> Moments:
        """What is to be written: whose last use that was written is at least `pause` before the last one."""
        return {id_: at for id_, at in self._seen.copy().items() if at - self._written.get(id_, 0) >= pause}

    def settle(self, written: Moments, pause: Milliseconds) -> None:
        """Forget what has been written, but not when, for the time of a pause."""
        self._written |= written
        for id_, at in written.items():
            if self._seen.get(id_) == at:
                del self._seen[id_]
        oldest = now() - pause
        self._written = {id_: at for id_, at in self._written.items() if at > oldest}


class Entered:
    """The projects that were written to lately, by the digest of a credential and what it called them: guesses."""

    def __init__(self) -> None:
        self._projects: dict[Hashable, int] = {}

    def get(self, key: Hashable) -> int | None:
        """The id of the project; None where there was none lately."""
        return self._projects.get(key)

    def note(self, key: Hashable, project_id: int) -> None:
        """Guess that project from now on."""
        if len(self._projects) >= MAX_ENTERED:
            self._projects.clear()
        self._projects[key] = project_id


class Usage:
    """The last uses of tokens, and of packages by downloads, that were seen by this process."""

    def __init__(self) -> None:
        self.tokens = LastUsed()
        self.packages = LastUsed()
        self.entered = Entered()
