"""Orders as sort keys. What a row does not have comes last, in either direction, as in MLflow."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import case, func
from sqlalchemy.sql.elements import ColumnElement

from modelyard.errors import InvalidValue
from modelyard.registry.search.conditions import Column, Subject
from modelyard.registry.search.pages import SortKey
from modelyard.terms.filters import Entity, Order


def attribute_keys(subject: Subject, orders: Iterable[Order]) -> list[SortKey]:
    """The sort keys of an order by attributes. Raises InvalidValue for anything else."""
    keys = []
    for order in orders:
        if order.key.entity is not Entity.ATTRIBUTE:
            raise InvalidValue(f"Cannot order by '{order.key}'")
        keys += attribute_key(subject, order)
    return keys


def attribute_key(subject: Subject, order: Order) -> list[SortKey]:
    """The sort keys of one attribute. Raises InvalidValue for an unknown one."""
    attribute = subject.attribute(order.key)
    if attribute.nullable:
        return nullable_keys(attribute.column, 0 if attribute.numeric else "", descending=order.descending)
    return [SortKey(attribute.column, order.descending)]


def nullable_keys(column: Column, stand_in: float | str, *, descending: bool) -> list[SortKey]:
    """First whether there is a value, then the value."""
    return [SortKey(_absent(column)), SortKey(func.coalesce(column, stand_in), descending)]


def _absent(column: Column) -> ColumnElement[int]:
    return case((column.is_(None), 1), else_=0)
