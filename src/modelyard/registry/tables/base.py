"""What all tables share: their base, the types of their columns, and references between them."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import BigInteger, ForeignKey, Integer, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from modelyard.clock import now

# SQLite counts rows only in columns of the exact type INTEGER, which hold 64 bits there.
Int64 = BigInteger().with_variant(Integer, "sqlite")

# Compared byte by byte, as SQLite does: names are searched and paged by range, whatever the database's own collation.
Bytewise = Text().with_variant(Text(collation="C"), "postgresql")

Id = Annotated[int, mapped_column(Int64, primary_key=True)]
CreatedAt = Annotated[int, mapped_column(Int64, default=now)]
UpdatedAt = Annotated[int, mapped_column(Int64, default=now, onupdate=now)]

NEVER_REUSE_IDS = {"sqlite_autoincrement": True}


def parent(column: str, *, primary_key: bool = False, index: bool = False) -> Mapped[int]:
    """A reference that dies with its parent."""
    return mapped_column(Int64, ForeignKey(column, ondelete="CASCADE"), primary_key=primary_key, index=index)


def author() -> Mapped[int | None]:
    """A reference to a user who may leave while the work stays."""
    return mapped_column(Int64, ForeignKey("users.id", ondelete="SET NULL"), index=True)


class Base(DeclarativeBase):
    """The declarative base; constraint names are fixed so that migrations can name them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {int: Int64, str: Bytewise}  # noqa: RUF012 - SQLAlchemy reads it from the class
