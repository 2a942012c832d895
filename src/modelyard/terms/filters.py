"""MLflow's search language: filters like `metrics.m > 0.1 AND tags.k LIKE 'a%'`, and orders like `metrics.m DESC`.

The grammar is that of MLflow's search API (mlflow.org, "Search Runs"): clauses joined by AND; keys bare or quoted with
backticks or double quotes; texts in single or double quotes, where a doubled quote stands for one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from modelyard.errors import InvalidValue

if TYPE_CHECKING:  # it is imported with the first text: 3 MiB that a server without searches does without
    from lark import Lark, Token, Tree
    from lark.exceptions import UnexpectedInput

MAX_LENGTH = 10_000  # characters of a filter
MAX_CLAUSES = 100
# Bytes of a pattern, so that any name fits in. SQLite compares them with a text of 65 536 characters in 0.2 s, at worst
# in 0.4 s, in which nothing can stop it. What is special to it, though not to MLflow, takes ten times as long.
MAX_PATTERN = 1024
DEAR, DEARNESS = "*?[", 10
MAX_ORDERS = 20  # keys of an order; each may be a join, of which SQLite takes 64
MAX_INT64 = 2**63 - 1

GRAMMAR = r"""
filter: clause ("AND"i clause)*
orders: order ("," order)*
order: KEY DIRECTION?
?clause: KEY COMPARATOR value           -> comparison
       | KEY "LIKE"i TEXT               -> like
       | KEY "ILIKE"i TEXT              -> ilike
       | KEY "IN"i list                 -> inside
       | KEY "NOT"i "IN"i list          -> outside
       | KEY "IS"i "NULL"i              -> absent
       | KEY "IS"i "NOT"i "NULL"i       -> present
?value: TEXT | NUMBER
list: "(" TEXT ("," TEXT)* ","? ")"
COMPARATOR: "=" | "!=" | "<=" | ">=" | "<" | ">"
DIRECTION.2: "ASC"i | "DESC"i
KEY: /(`[^`]+`|"[^"]+"|[A-Za-z_]\w*)(\.(`[^`]+`|"[^"]+"|[\w.\/:@+-]+))?/
TEXT: /'([^']|'')*'|"([^"]|"")*"/
NUMBER: /[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?/
%ignore /\s+/
"""


class Malformed(InvalidValue):
    """400 for a text that is not of this language; `at` is the index of the character where that shows."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class Operator(StrEnum):
    """How a clause compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    IN = "IN"
    NOT_IN = "NOT IN"
    IS_NULL = "IS NULL"
    IS_NOT_NULL = "IS NOT NULL"


class Entity(StrEnum):
    """What a key belongs to."""

    ATTRIBUTE = "attribute"
    METRIC = "metric"
    PARAM = "param"
    TAG = "tag"
    DATASET = "dataset"


SPELLINGS = {
    spelling: entity
    for entity, spellings in {
        Entity.ATTRIBUTE: ("attribute", "attributes", "attr", "run"),
        Entity.METRIC: ("metric", "metrics"),
        Entity.PARAM: ("parameter", "parameters", "param", "params"),
        Entity.TAG: ("tag", "tags"),
        Entity.DATASET: ("dataset", "datasets"),
    }.items()
    for spelling in spellings
}

_OPERATORS = {
    "like": Operator.LIKE,
    "ilike": Operator.ILIKE,
    "inside": Operator.IN,
    "outside": Operator.NOT_IN,
    "absent": Operator.IS_NULL,
    "present": Operator.IS_NOT_NULL,
}

Value = str | int | float | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Key:
    """What is compared or ordered by, such as `metrics.m`."""

    entity: Entity
    name: str

    def __str__(self) -> str:
        return self.name if self.entity is Entity.ATTRIBUTE else f"{self.entity}.{self.name}"


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison of a filter; `value` is None for IS NULL and IS NOT NULL, a tuple for IN and NOT IN."""

    key: Key
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Order:
    """One key of an order."""

    key: Key
    descending: bool


def parse_filter(text: str | None) -> list[Clause]:
    """The clauses that must all hold; none for a blank filter. Raises InvalidValue, which says where it fails."""
    if not text or not text.strip():
        return []
    clauses = [_clause(tree) for tree in _parse("filter", text)]
    if len(clauses) > MAX_CLAUSES:
        raise InvalidValue(f"A filter can have at most {MAX_CLAUSES} clauses")
    return clauses


def parse_orders(texts: Iterable[str]) -> list[Order]:
    """The keys to sort by, the most significant first. Raises InvalidValue, also for a key that is there twice."""
    texts = [text for text in texts if text.strip()]
    if sum(map(len, texts)) > MAX_LENGTH:
        raise InvalidValue(f"order_by has more than {MAX_LENGTH} characters")
    orders = [_order(tree) for text in texts for tree in _parse("orders", text)]
    check_keys([order.key for order in orders])
    return orders


def check_keys(keys: Sequence[Hashable]) -> None:
    """Let the keys of an order pass. Raises InvalidValue where there are too many, or one is there twice."""
    if len(keys) > MAX_ORDERS:
        raise InvalidValue(f"order_by can have at most {MAX_ORDERS} keys")
    if len(set(keys)) < len(keys):
        raise InvalidValue("order_by contains duplicate fields")


@cache
def _parser() -> Lark:
    from lark import Lark  # noqa: PLC0415 - as above

    return Lark(GRAMMAR, parser="lalr", start=["filter", "orders"], maybe_placeholders=False)


def _parse(start: str, text: str) -> list[Tree[Token]]:
    from lark.exceptions import UnexpectedInput  # noqa: PLC0415 - as above

    what = "filter" if start == "filter" else "order_by"
    if len(text) > MAX_LENGTH:
        raise InvalidValue(f"{what} has more than {MAX_LENGTH} characters")
    try:
        tree = _parser().parse(text, start=start)
    except UnexpectedInput as error:
        raise Malformed(
            f"Invalid {what} {_place(error, text)}: {_expectation(what)}", _position(error, text)
        ) from error
    return [child for child in tree.children if not isinstance(child, str)]


def _position(error: UnexpectedInput, text: str) -> int:
    token: Token | None = getattr(error, "token", None)
    at: int | None = getattr(error, "pos_in_stream", None)
    return len(text) if at is None or (token is not None and token.type == "$END") else at


def _place(error: UnexpectedInput, text: str) -> str:
    at = _position(error, text)
    return f"at '{text[at : at + 40]}'" if at < len(text) else "at its end"


def _expectation(what: str) -> str:
    if what == "filter":
        return "expected clauses such as metrics.m > 0.1 or tags.k = 'text', joined by AND"
    return "expected a key such as metrics.m, then perhaps ASC or DESC"


def _clause(tree: Tree[Token]) -> Clause:
    key, *rest = tree.children
    if tree.data == "comparison":
        operator, value = rest
        return Clause(_key(str(key)), Operator(str(operator)), _value(value))
    clause = Clause(_key(str(key)), _OPERATORS[tree.data], _value(rest[0]) if rest else None)
    if clause.operator in {Operator.LIKE, Operator.ILIKE}:
        _check_pattern(str(clause.value))
    return clause


def _check_pattern(pattern: str) -> None:
    """Raise InvalidValue for a pattern that would hold up a database."""
    size = len(pattern.encode(errors="surrogatepass")) + (DEARNESS - 1) * sum(map(pattern.count, DEAR))
    if size > MAX_PATTERN:
        counted = f"as UTF-8, where each of {' '.join(DEAR)} counts as {DEARNESS}"
        raise InvalidValue(f"A pattern of LIKE or ILIKE can have at most {MAX_PATTERN} bytes {counted}")


def _order(tree: Tree[Token]) -> Order:
    key, *direction = (str(child) for child in tree.children)
    return Order(_key(key), descending=bool(direction) and direction[0].upper() == "DESC")


def _key(text: str) -> Key:
    entity, dot, name = text.partition(".") if text[0] not in '`"' else (text, "", "")
    if not dot:
        return Key(Entity.ATTRIBUTE, text.strip('`"'))
    if entity not in SPELLINGS:
        raise InvalidValue(f"Invalid entity type '{entity}'. Valid values are {sorted(SPELLINGS)}")
    return Key(SPELLINGS[entity], name[1:-1] if name[0] in '`"' else name)


def _value(node: Token | Tree[Token]) -> Value:
    if not isinstance(node, str):
        return tuple(_text(str(child)) for child in node.children)
    return _text(str(node)) if node.type == "TEXT" else _number(str(node))


def _text(quoted: str) -> str:
    quote = quoted[0]
    return quoted[1:-1].replace(quote * 2, quote)


def _number(text: str) -> int | float:
    try:
        number = int(text)
    except ValueError:
        return float(text)
    return number if abs(number) <= MAX_INT64 else float(text)
