"""How many bytes the rows of a project have that are not its files: texts at their length, and 200 bytes for each row.

The database counts by triggers (revision 0010), in the transaction in which a row comes or goes, whatever takes it
along and whichever version of the program does it. Only the points of metrics are counted here.
"""

from __future__ import annotations

from random import random

from sqlalchemy import Insert, bindparam, func, literal, select

from modelyard.registry.base import Repository
from modelyard.registry.dialects import upsert
from modelyard.registry.statements import built_once
from modelyard.registry.tables import ProjectRows

ROW_BYTES = 200
POINTS_AT_ONCE = 100
SLOTS = 16  # of PostgreSQL's connections, as in revision 0010


class RowRepository(Repository):
    """Bytes of rows by project."""

    def used(self, project_id: int) -> int:
        """The bytes of all rows of a project."""
        return int(self.connection.execute(_USED, {"id": project_id}).scalar_one())

    def add_points(self, project_id: int, count: int) -> None:
        """Count points that are added: exactly where they are many, else now and then a hundred for all that came since
        by chance, which is right on average. A statement for each would be a twentieth of what logging one costs.
        """
        if count < POINTS_AT_ONCE:
            if random() * POINTS_AT_ONCE >= count:  # noqa: S311 - it hides nothing
                return
            count = POINTS_AT_ONCE
        added = {"project_id": project_id, "size": count * ROW_BYTES}
        self.write(_add(self.dialect), added)


_USED = select(func.coalesce(func.sum(ProjectRows.size), 0)).where(ProjectRows.project_id == bindparam("id"))


@built_once
def _add(dialect: str) -> Insert:
    slot = literal(0) if dialect == "sqlite" else func.pg_backend_pid() % SLOTS
    statement = upsert(dialect, ProjectRows).values(slot=slot)
    more = {"size": ProjectRows.size + statement.excluded.size}
    return statement.on_conflict_do_update(index_elements=["project_id", "slot"], set_=more).inline()
