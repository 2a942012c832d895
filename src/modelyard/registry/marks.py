"""Whether what was looked up still holds: by marks of the states in which it was found.

A scope is all that lookups depend on of one project (`project 7`) or user (`user 3`), or of all content (`damage`,
`forgotten blobs`). Whatever transaction changes any of it gives its scope another mark, drawn at random; triggers of
the database see to that (revision 0020), whichever process writes, of whichever version. As marks and what they stand
for are committed together, two reads that see the same marks see the same of their scopes. So what was looked up holds
as long as its marks are those that a statement finds that began after a request had arrived: then every change that had
been acknowledged by then is in sight.

That leaves little that could go wrong. A transaction that is rolled back takes its mark with it. What a failover loses
is lost with its marks, which nothing that happens instead draws again (they have 48 bits). A process that is cut off,
or sees a server that only follows another, finds no marks, and looks everything up as if nothing were remembered.
Writers of one project do not wait for each other: each connection to PostgreSQL has one of 16 slots, and the mark is
the sum over these.

`pg_current_snapshot()` would tell of changes without a table: every commit in the cluster changes it, of whatever it
may be, so that next to nothing would be remembered where one request of ten writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from sqlalchemy import BigInteger, Label, SQLColumnExpression, Text, bindparam, cast, func, literal_column, select

from modelyard.registry.base import Repository
from modelyard.registry.tables import Mark

Marks: TypeAlias = tuple[tuple[str, int], ...]  # scopes and their marks; none: what was found cannot be remembered

DAMAGE = "damage"  # content whose bytes are known to be others
FORGOTTEN_BLOBS = "forgotten blobs"  # content that nothing referred to any more


def project_scope(project_id: object) -> str:
    """All that lookups depend on of a project: it, its members, models, versions, files."""
    return f"project {project_id}"


def user_scope(user_id: object) -> str:
    """All that lookups depend on of a user: the account and its tokens."""
    return f"user {user_id}"


def marks_of(project: SQLColumnExpression[int], user: SQLColumnExpression[int]) -> tuple[Label[int], ...]:
    """The marks of a project and a user, by their ids, and of damage, as columns of a statement."""
    project_mark = _mark(literal_column("'project '", Text) + cast(project, Text))
    user_mark = _mark(literal_column("'user '", Text) + cast(user, Text))
    return (project_mark, user_mark, _mark(literal_column(f"'{DAMAGE}'", Text)))


class MarkRepository(Repository):
    """The marks of scopes, as the transaction sees them."""

    def of(self, scopes: Sequence[str]) -> Marks:
        """The marks of these scopes."""
        found = {scope: int(mark) for scope, mark in self.tuples(_MARKS, {"scopes": scopes})}
        return tuple((scope, found.get(scope, 0)) for scope in scopes)


_MARKS = (
    select(Mark.scope, func.sum(Mark.mark))
    .where(Mark.scope.in_(bindparam("scopes", expanding=True)))
    .group_by(Mark.scope)
)


def _mark(scope: SQLColumnExpression[str]) -> Label[int]:
    total = func.coalesce(func.sum(Mark.mark), literal_column("0"))
    return cast(select(total).where(Mark.scope == scope).scalar_subquery(), BigInteger).label(None)
