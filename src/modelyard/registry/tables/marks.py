"""What was changed last, in as few words as tell that it was."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from modelyard.registry.tables.base import Base


class Mark(Base):
    """The state of a scope, as a number that no other state has; triggers of the database set it (revision 0020).

    Its mark is the sum over all slots, 0 without any.
    """

    __tablename__ = "marks"

    scope: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True)  # several, so that writers need not wait for each other
    mark: Mapped[int]  # drawn at random
