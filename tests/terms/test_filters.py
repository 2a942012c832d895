"""Filters that are none are refused with the place where that shows."""

from __future__ import annotations

import pytest

from modelyard.errors import InvalidValue
from modelyard.terms.filters import MAX_LENGTH, Malformed, parse_filter, parse_orders


@pytest.mark.parametrize(
    ("text", "at", "told"),
    [
        ("metrics.loss >", 14, "at its end"),
        ("metrics.loss ! 3", 13, "at '! 3'"),
        ("metrics.loss > 1 AND", 20, "at its end"),
        ("a = 'b' OR c = 'd'", 8, "at 'OR c = 'd''"),
        ("= 1", 0, "at '= 1'"),
    ],
)
def test_a_filter_that_is_none_is_refused_with_its_place(text: str, at: int, told: str) -> None:
    with pytest.raises(Malformed, match="expected clauses") as refused:
        parse_filter(text)
    assert refused.value.at == at
    assert told in str(refused.value.body["message"])


def test_an_order_that_is_none_is_refused_with_its_place() -> None:
    with pytest.raises(Malformed, match="expected a key") as refused:
        parse_orders(["metrics.m DOWN"])
    assert refused.value.at == 10


def test_orders_have_no_more_characters_than_a_filter() -> None:
    longest = "m" * (MAX_LENGTH - len("metrics.") - 1)
    assert len(parse_orders([f"metrics.{longest}"])) == 1
    with pytest.raises(InvalidValue) as refused:
        parse_orders([f"metrics.{longest}", "a", "b"])
    assert f"more than {MAX_LENGTH} characters" in str(refused.value.body)
