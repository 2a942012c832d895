"""What every repository shares: a session, and reading one page of a statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from modelyard.wire.paging import Page, PageRequest

T = TypeVar("T")

MAX_INT64 = 2**63 - 1


class Repository:
    """All statements on one subject, within the transaction of a session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def page(self, statement: Select[T], request: PageRequest) -> Page[T]:
        """One page of the rows of an ordered statement, and how many rows there are in all."""
        total = self.session.scalar(select(func.count()).select_from(statement.order_by(None).subquery()))
        items: Sequence[T] = self.session.scalars(statement.limit(request.limit).offset(request.offset)).all()
        return Page(items=list(items), total=total or 0, request=request)


def storable(number: int) -> int:
    """`number` itself, or -1, which is nobody's id, when it is beyond what a column can hold."""
    return number if 0 <= number <= MAX_INT64 else -1


def contains(needle: str) -> str:
    """A LIKE pattern, with `\\` as escape, for texts that contain `needle`."""
    escaped = needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
