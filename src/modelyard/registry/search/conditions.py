"""Filters as SQL conditions: a clause on an attribute compares a column, one on a tag looks for a row of tags."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, exists, false, func, or_, select

from modelyard.errors import InvalidValue
from modelyard.registry.dialects import ilike, like
from modelyard.registry.tables import HEAD_LENGTH, head_of
from modelyard.terms.filters import Clause, Entity, Key, Operator, Value

Column = SQLColumnExpression[Any]
Condition = ColumnElement[bool]

_BINARY: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQUAL: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_OR_EQUAL: operator.ge,
    Operator.LIKE: like,
    Operator.ILIKE: ilike,
    Operator.IN: lambda column, values: column.in_(values),
    Operator.NOT_IN: lambda column, values: column.not_in(values),
}
NUMBER_OPERATORS = frozenset(list(_BINARY)[:6])
TEXT_OPERATORS = frozenset(_BINARY) - frozenset(list(_BINARY)[2:6])
ROW_OPERATORS = TEXT_OPERATORS - {Operator.IN, Operator.NOT_IN} | {Operator.IS_NULL, Operator.IS_NOT_NULL}
MAX_SCOPED = 20_000  # ids that the clauses of a filter repeat; PostgreSQL takes 65 535 parameters in all
# Clauses of a filter that PostgreSQL may make joins of: to plan a hundred takes it 5 s, whatever there is to be joined.
# An OFFSET keeps the others what they are (src/backend/optimizer/plan/subselect.c, simplify_EXISTS_query).
MAX_JOINED = 8
PROMPT_TAG = "mlflow.prompt.is_prompt"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A property of what is searched: the column, and what may be done with it."""

    column: Column
    numeric: bool = False
    nullable: bool = False
    filtered: bool = True  # else it is there to sort by only
    others: Sequence[Column] = ()  # by which filters find it as well


@dataclass(frozen=True, slots=True)
class Rows:
    """Keys and values that hang on what is searched: tags, parameters or metrics."""

    owner: Column
    key: Column
    value: Column  # of metrics None for NaN
    numeric: bool = False
    listed: bool = False  # whether IN is known, which MLflow has not for what hangs on runs
    head: Column | None = None  # the indexed beginning of `value`
    scope: Column | None = None  # leads the index: what the owners that are searched belong to


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that can be searched."""

    id: Column
    attributes: Mapping[str, Attribute]
    rows: Mapping[Entity, Rows]
    extra: Mapping[Entity, Callable[[Clause], Condition]] = field(default_factory=dict)
    prompts: bool = False  # whether MLflow's prompts live among them

    def attribute(self, key: Key) -> Attribute:
        """The attribute of that name. Raises InvalidValue."""
        attribute = self.attributes.get(key.name)
        if attribute is None:
            raise InvalidValue(f"Invalid attribute key '{key.name}'. Valid keys are {sorted(self.attributes)}")
        return attribute

    def rows_of(self, key: Key) -> Rows:
        """The tags, parameters or metrics that a key is among. Raises InvalidValue."""
        if key.entity not in self.rows:
            raise InvalidValue(f"Invalid entity type '{key.entity}'. Valid values are {self._entities()}")
        return self.rows[key.entity]

    def _entities(self) -> list[str]:
        return sorted({Entity.ATTRIBUTE, *self.rows, *self.extra})


@dataclass(frozen=True, slots=True)
class Scope:
    """Where rows are looked for: the ids that their scope is one of, and a judge of which matches are rare there."""

    ids: list[int]
    is_rare: Callable[[Select[Any]], bool]


def conditions(subject: Subject, clauses: Sequence[Clause], scope: Scope | None = None) -> list[Condition]:
    """The conditions of a filter, all of which must hold. Raises InvalidValue for a clause that makes no sense."""
    scoped = min(MAX_SCOPED // max(1, len(scope.ids)), MAX_JOINED) if scope else 0
    found = [
        _condition(subject, clause, scope if number < scoped else None, joined=number < MAX_JOINED)
        for number, clause in enumerate(clauses)
    ]
    if subject.prompts and not any(_asks_for_prompts(clause) for clause in clauses):
        found.append(subject.id.not_in(_prompts(subject)))
    return found


def _condition(subject: Subject, clause: Clause, scope: Scope | None, *, joined: bool) -> Condition:
    if clause.key.entity is Entity.ATTRIBUTE:
        return _attribute_condition(subject.attribute(clause.key), clause)
    if clause.key.entity in subject.extra:
        return subject.extra[clause.key.entity](clause)
    if subject.prompts and clause.key == Key(Entity.TAG, PROMPT_TAG) and not _asks_for_prompts(clause):
        return subject.id.not_in(_prompts(subject))  # models that are no prompts do not have the tag at all
    return _row_condition(subject, subject.rows_of(clause.key), clause, scope, joined=joined)


def _attribute_condition(attribute: Attribute, clause: Clause) -> Condition:
    if not attribute.filtered:
        raise InvalidValue(f"'{clause.key}' cannot be filtered by")
    _check(clause, NUMBER_OPERATORS if attribute.numeric else TEXT_OPERATORS, numeric=attribute.numeric)
    if attribute.others:
        return _compare_any((attribute.column, *attribute.others), clause)
    return compare(attribute.column, clause)


def _row_condition(subject: Subject, rows: Rows, clause: Clause, scope: Scope | None, *, joined: bool) -> Condition:
    texts = ROW_OPERATORS | {Operator.IN, Operator.NOT_IN} if rows.listed else ROW_OPERATORS
    _check(clause, NUMBER_OPERATORS if rows.numeric else texts, numeric=rows.numeric)
    matches = [rows.key == clause.key.name]
    if clause.operator not in {Operator.IS_NULL, Operator.IS_NOT_NULL}:
        matches.append(_row_comparison(rows, clause))
    if scope is None or rows.scope is None or not _is_rare(rows, clause, matches, scope):
        matching = select(rows.owner).where(rows.owner == subject.id, *matches)
        found = exists(matching if joined else matching.offset(0))
        return ~found if clause.operator is Operator.IS_NULL else found
    return subject.id.in_(select(rows.owner).where(rows.scope.in_(scope.ids), *matches))


def _is_rare(rows: Rows, clause: Clause, matches: list[Condition], scope: Scope) -> bool:
    """Whether it is better to begin with the rows that match than to look for them one owner after the other.

    Only what an index alone can answer is worth the question.
    """
    indexed = clause.operator is Operator.EQUAL or (rows.numeric and clause.operator is not Operator.NOT_EQUAL)
    return (
        indexed
        and rows.scope is not None
        and scope.is_rare(select(rows.owner).where(rows.scope.in_(scope.ids), *matches))
    )


def _row_comparison(rows: Rows, clause: Clause) -> Condition:
    if rows.numeric and clause.operator is Operator.NOT_EQUAL:
        return or_(compare(rows.value, clause), rows.value.is_(None))  # NaN differs from every number
    if rows.head is None or clause.operator is not Operator.EQUAL:
        return compare(rows.value, clause)
    value = str(clause.value)
    found = rows.head == head_of(value)  # the index alone answers for a value that fits into it
    return found if len(value) < HEAD_LENGTH else and_(found, rows.value == value)


def compare(column: Column, clause: Clause) -> Condition:
    """The condition that a column compares as the clause says."""
    condition: Condition = _BINARY[clause.operator](column, clause.value)
    return condition


def _compare_any(columns: Sequence[Column], clause: Clause) -> Condition:
    """That one of the columns compares as the clause says, or where it says that they differ, that none is equal."""
    opposite = {Operator.NOT_EQUAL: Operator.EQUAL, Operator.NOT_IN: Operator.IN}.get(clause.operator)
    asked = replace(clause, operator=opposite) if opposite else clause
    found = func.coalesce(or_(*(compare(column, asked) for column in columns)), false())
    return ~found if opposite else found


def check_text(clause: Clause) -> None:
    """Let clauses pass that make sense for a text. Raises InvalidValue."""
    _check(clause, TEXT_OPERATORS, numeric=False)


def _check(clause: Clause, operators: frozenset[Operator], *, numeric: bool) -> None:
    if clause.operator not in operators:
        names = ", ".join(sorted(operators))
        raise InvalidValue(f"Invalid comparator '{clause.operator}' for {clause.key}. Valid ones are {names}")
    if not _fits(clause.value, numeric=numeric):
        expected = "a number" if numeric else "a quoted text"
        raise InvalidValue(f"Expected {expected} to compare {clause.key} with, got {clause.value}")


def _fits(value: Value, *, numeric: bool) -> bool:
    return isinstance(value, (int, float)) if numeric else not isinstance(value, (int, float))


def _asks_for_prompts(clause: Clause) -> bool:
    wants = {(Operator.EQUAL, "true"), (Operator.NOT_EQUAL, "false")}
    return clause.key == Key(Entity.TAG, PROMPT_TAG) and (clause.operator, str(clause.value).lower()) in wants


def _prompts(subject: Subject) -> Any:  # noqa: ANN401 - a subquery
    tags = subject.rows[Entity.TAG]
    return select(tags.owner).where(tags.key == PROMPT_TAG, tags.value == "true")
