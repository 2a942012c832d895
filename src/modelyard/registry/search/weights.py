"""How much there is to read behind the rows of a page, so that a page ends before it holds too much."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from random import random
from typing import Any

from sqlalchemy import BindParameter, CompoundSelect, SQLColumnExpression, bindparam, func, select, union_all
from sqlalchemy.orm import Session

from modelyard.errors import InvalidValue
from modelyard.registry.dialects import byte_length
from modelyard.registry.statements import built_once

MOST_BYTES = 2 * 1024 * 1024  # as JSON; it takes ten times as much while it is made
ROW_BYTES, ATTACHED_BYTES = 500, 100  # of a row, and of each that hangs on it, beside its texts
MOST_OF_ONE = 8 * 1024 * 1024  # what hangs on one row, which is read and shown at once
LOOK_BYTES = 256 * 1024  # that are added between two looks at that, on average
FIRST_LOOK, GROWTH = 32, 8  # rows; each look takes in so many times as many as the last, while all of them fit


@dataclass(frozen=True, slots=True)
class Attached:
    """Rows that are shown with what is searched, or itself: to whom they belong, and their texts of any length."""

    owner: SQLColumnExpression[int] | SQLColumnExpression[int | None]
    texts: tuple[SQLColumnExpression[str] | SQLColumnExpression[str | None], ...] = ()


def how_many_fit(session: Session, ids: Sequence[int], attached: tuple[Attached, ...]) -> int:
    """How many of the first of `ids` may be read at once: one, or as many as come to MOST_BYTES with what is attached.

    The weight of the rest is not looked at, since it may be the weight of a whole table.
    """
    fitting, weight, look = 0, 0, FIRST_LOOK
    while fitting < len(ids):
        seen = ids[fitting : fitting + look]
        weights: dict[int, int] = {}
        rows: Iterable[Any] = session.connection().execute(_weights(attached), {"ids": seen})
        for owner, size in rows:
            weights[owner] = weights.get(owner, ROW_BYTES) + int(size)
        for id_ in seen:
            weight += weights.get(id_, ROW_BYTES)
            if weight > MOST_BYTES:
                return max(fitting, 1)
            fitting += 1
        look *= GROWTH
    return fitting


def hold_one(session: Session, id_: int, attached: tuple[Attached, ...], texts: Collection[str]) -> None:
    """Raise InvalidValue where what hangs on one row has come to more than MOST_OF_ONE with the texts that were added.

    Each addition is looked at as likely as it is large: to look at all of a run for each of its tags would be felt.
    """
    added = sum(map(len, texts)) + ATTACHED_BYTES * len(texts)
    if random() * LOOK_BYTES >= added:  # noqa: S311 - it hides nothing
        return
    rows: Iterable[Any] = session.connection().execute(_weights(attached), {"ids": [id_]})
    if sum(int(size) for _owner, size in rows) > MOST_OF_ONE:
        raise InvalidValue(f"All that is logged to one thing can have at most {MOST_OF_ONE} bytes; log files instead")


@built_once
def _weights(attached: tuple[Attached, ...]) -> CompoundSelect[Any]:
    """Built once for a search: that takes several times as long as running it."""

    def of(each: Attached) -> SQLColumnExpression[int]:
        lengths = (func.coalesce(func.sum(byte_length(text)), 0) for text in each.texts)
        return reduce(add, lengths, func.count() * ATTACHED_BYTES)

    ids: BindParameter[int] = bindparam("ids", expanding=True)
    parts = (select(each.owner, of(each)).where(each.owner.in_(ids)).group_by(each.owner) for each in attached)
    return union_all(*parts)
