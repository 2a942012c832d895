"""How the last runs of `check` and `gc` went, for the server to show and the next run to go on from."""

from __future__ import annotations

from sqlalchemy import select

from modelyard.registry.base import Repository
from modelyard.registry.tables import UpkeepRun


class UpkeepRepository(Repository):
    """The last run of each task."""

    def last(self, task: str) -> UpkeepRun | None:
        """The last run of a task."""
        return self.session.get(UpkeepRun, task)

    def all(self) -> list[UpkeepRun]:
        """The last run of every task that has ever run."""
        return list(self.session.scalars(select(UpkeepRun).order_by(UpkeepRun.task)))

    def record(self, run: UpkeepRun) -> None:
        """Keep a run in place of the one before."""
        self.session.merge(run)
