"""The bytes that a project's rows may have: experiments, runs, metrics, tags, models, versions and tokens."""

from __future__ import annotations

import time

from modelyard.errors import BadRequest
from modelyard.registry.repository import Registry

ROOM_SECONDS = 5.0
MAX_KNOWN = 10_000


class RowsQuota:
    """Refuses what would add rows to a project that has too many. `limit`: bytes; 0 for none.

    That there is room is believed for some seconds, so that whoever logs a point after the other pays for one look in
    hundreds; each process may go beyond the limit by what it takes in meanwhile. That there is none is looked at each
    time: what is deleted makes room with the next request.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room_until: dict[int, float] = {}

    def hold(self, registry: Registry, project_id: int) -> None:
        """Raise BadRequest where the project has no room for more."""
        if not self._limit or self._room_until.get(project_id, 0.0) > time.monotonic():
            return
        if registry.rows.used(project_id) >= self._limit:
            raise BadRequest.plain(
                f"The project's records have reached their limit of {self._limit} bytes: "
                "delete models, versions, logged models or tags that are not needed any more"
            )
        if len(self._room_until) >= MAX_KNOWN:
            self._room_until.clear()
        self._room_until[project_id] = time.monotonic() + ROOM_SECONDS
