"""Pages that go on after the last row of the one before, so that a late page costs what the first one does.

A page token holds the sort keys of that row, and a digest of the search that it belongs to. Anybody can make one up, so
that what it holds is looked at before the database sees it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, SQLColumnExpression, UnaryExpression, and_, or_
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from modelyard.errors import InvalidValue
from modelyard.registry.search.weights import Attached, how_many_fit

_INVALID = "Invalid page token"
_KEY_TYPES = (str, int, float)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


# Of each statement, the engine keeps what it has compiled: two megabytes for an order by twenty keys, of which there
# are more than memory. Such are compiled anew, and those that people ask again and again are found.
USUAL_KEYS, USUAL_CONDITIONS = 6, 12
_USUAL: Mapping[str, object] = {}
_UNREMEMBERED: Mapping[str, object] = {"compiled_cache": None}


@dataclass(frozen=True, slots=True)
class SortKey:
    """An expression to sort by, which is never null."""

    expression: SQLColumnExpression[Any]
    descending: bool = False

    @property
    def ordered(self) -> UnaryExpression[Any]:
        """The expression in its direction."""
        return self.expression.desc() if self.descending else self.expression.asc()

    @property
    def type(self) -> TypeEngine[Any]:
        """The type of its values."""
        expression: Any = self.expression  # SQLAlchemy declares `type` for its classes, not for what they share
        kind: TypeEngine[Any] = expression.type
        return kind


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that come together: a statement for ids, and the keys that sort them; the last key is unique."""

    statement: Select[Any]
    keys: tuple[SortKey, ...]

    @property
    def is_usual(self) -> bool:
        """Whether it is as people ask, rather than as long as it may be."""
        where = self.statement.whereclause
        conditions = 0 if where is None else sum(1 for _ in where.get_children())
        return len(self.keys) <= USUAL_KEYS and conditions <= USUAL_CONDITIONS


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: in which section, and after which keys (none: at its beginning)."""

    section: int = 0
    after: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class IdPage:
    """The ids of one page in their order, and where the next page begins, if there is one."""

    ids: list[int]
    following: Cursor | None


def read_page(
    session: Session, sections: Sequence[Section], cursor: Cursor, limit: int, attached: tuple[Attached, ...] = ()
) -> IdPage:
    """One page of ids, from all sections in turn: `limit` of them, or fewer where `attached` would be too much.

    Raises InvalidValue for a cursor that no page of these sections ends with.
    """
    check_cursor(cursor, [[key.type for key in section.keys] for section in sections])
    found: list[tuple[int, Cursor]] = []
    for number, section in enumerate(sections):
        if number < cursor.section or len(found) > limit:
            continue
        after = cursor.after if number == cursor.section else ()
        statement = _statement(section, after, limit + 1 - len(found))
        rows = session.execute(statement, execution_options=_USUAL if section.is_usual else _UNREMEMBERED)
        found += [(row[0], Cursor(number, tuple(row[1:]))) for row in rows]
    ids = [id_ for id_, _ in found[:limit]]
    if attached:
        ids = ids[: how_many_fit(session, ids, attached)]
    following = found[len(ids) - 1][1] if len(found) > len(ids) else None
    return IdPage(ids, following)


def encode_token(cursor: Cursor | None, *search: object) -> str | None:
    """The page token of a cursor in a search, which is told by everything that it depends on."""
    if cursor is None:
        return None
    content = json.dumps([_digest(search, cursor), cursor.section, *cursor.after])
    return base64.urlsafe_b64encode(content.encode()).decode()


def decode_token(token: str | None, *search: object) -> Cursor:
    """The cursor of a page token; the beginning for none. Raises InvalidValue for any but this search's.

    Whether its keys are those of the search's rows is for `check_cursor` to say.
    """
    if not token:
        return Cursor()
    try:
        digest, section, *after = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise InvalidValue(_INVALID) from error
    if type(section) is not int or not after or any(type(key) not in _KEY_TYPES for key in after):
        raise InvalidValue(_INVALID)
    cursor = Cursor(section, tuple(after))
    if digest != _digest(search, cursor):
        raise InvalidValue(f"{_INVALID}: it belongs to another search")
    return cursor


def check_cursor(cursor: Cursor, sections: Sequence[Sequence[TypeEngine[Any]]]) -> None:
    """Let a cursor pass that may lie in one of the sections, told by the types of their keys. Raises InvalidValue."""
    if not cursor.after:
        return
    keys = sections[cursor.section] if 0 <= cursor.section < len(sections) else ()
    if len(keys) != len(cursor.after) or not all(map(_fits, keys, cursor.after)):
        raise InvalidValue(_INVALID)


def _fits(key: TypeEngine[Any], value: str | float) -> bool:
    """Whether a database takes the value for one of a key's."""
    kind = key.python_type
    if isinstance(value, str):
        return kind is str and _UNSTORABLE.search(value) is None
    if isinstance(value, float):
        return kind is float and not math.isnan(value)  # metrics may be infinite
    bits = 63 if kind is float or isinstance(key, BigInteger) else 31
    return kind is not str and -(2**bits) <= value < 2**bits


def _digest(search: tuple[object, ...], cursor: Cursor) -> str:
    return hashlib.sha256(repr((search, cursor)).encode()).hexdigest()[:16]


def _statement(section: Section, after: tuple[Any, ...], limit: int) -> Select[Any]:
    statement = section.statement.add_columns(*(key.expression for key in section.keys))
    if after:
        statement = statement.where(_beyond(section.keys, after))
    return statement.order_by(*(key.ordered for key in section.keys)).limit(limit)


def _beyond(keys: tuple[SortKey, ...], after: tuple[Any, ...]) -> ColumnElement[bool]:
    """Rows that sort after the given keys; the first key is bounded by itself as well, so that an index is of use."""
    first = keys[0].expression <= after[0] if keys[0].descending else keys[0].expression >= after[0]
    return and_(first, _later(keys, after))


def _later(keys: tuple[SortKey, ...], after: tuple[Any, ...]) -> ColumnElement[bool]:
    """Rows that sort after the given keys by the first half of them, or are equal in it and do by the second.

    Forty keys are compared 250 times so, at a depth of 6. One after the other it would be 800 times, and one within the
    other deeper than SQLite's parser goes.
    """
    if len(keys) == 1:
        beyond: ColumnElement[bool] = (
            keys[0].expression < after[0] if keys[0].descending else keys[0].expression > after[0]
        )
        return beyond
    half = len(keys) // 2
    same = (key.expression == value for key, value in zip(keys[:half], after[:half], strict=True))
    return or_(_later(keys[:half], after[:half]), and_(*same, _later(keys[half:], after[half:])))
