"""Conditional requests, in the order of RFC 9110 section 13.2.2."""

from __future__ import annotations

import pytest

from modelyard.wire.conditions import Outcome, Validators, evaluate, http_date, range_applies

NOW = 1_800_000_000
CURRENT = Validators('"abc"', NOW)
OLDER, SAME, NEWER = http_date(NOW - 60), http_date(NOW), http_date(NOW + 60)

PROCEED, NOT_MODIFIED, FAILED = Outcome.PROCEED, Outcome.NOT_MODIFIED, Outcome.PRECONDITION_FAILED


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, PROCEED),
        ({"if-match": '"abc"'}, PROCEED),
        ({"if-match": '"x", "abc"'}, PROCEED),
        ({"if-match": "*"}, PROCEED),
        ({"if-match": '"x"'}, FAILED),
        ({"if-match": 'W/"abc"'}, FAILED),
        ({"if-match": "abc"}, FAILED),
        ({"if-unmodified-since": SAME}, PROCEED),
        ({"if-unmodified-since": OLDER}, FAILED),
        ({"if-match": '"abc"', "if-unmodified-since": OLDER}, PROCEED),
        ({"if-none-match": '"abc"'}, NOT_MODIFIED),
        ({"if-none-match": 'W/"abc"'}, NOT_MODIFIED),
        ({"if-none-match": '"x" , W/"abc"'}, NOT_MODIFIED),
        ({"if-none-match": " * "}, NOT_MODIFIED),
        ({"if-none-match": '"x"'}, PROCEED),
        ({"if-modified-since": SAME}, NOT_MODIFIED),
        ({"if-modified-since": NEWER}, NOT_MODIFIED),
        ({"if-modified-since": OLDER}, PROCEED),
        ({"if-none-match": '"x"', "if-modified-since": SAME}, PROCEED),
        ({"if-match": '"x"', "if-none-match": '"abc"'}, FAILED),
        ({"if-match": '"abc"', "if-none-match": '"abc"'}, NOT_MODIFIED),
        ({"if-modified-since": "yesterday"}, PROCEED),
        ({"if-unmodified-since": "Mon, 99 Nov 99999 00:00:00 GMT"}, PROCEED),
    ],
)
def test_conditions_on_reading(headers: dict[str, str], expected: Outcome) -> None:
    assert evaluate("GET", headers, CURRENT) is expected
    assert evaluate("HEAD", headers, CURRENT) is expected


@pytest.mark.parametrize(
    ("headers", "current", "expected"),
    [
        ({"if-none-match": "*"}, None, PROCEED),
        ({"if-none-match": "*"}, CURRENT, FAILED),
        ({"if-none-match": '"abc"'}, CURRENT, FAILED),
        ({"if-match": "*"}, None, FAILED),
        ({"if-match": '"abc"'}, CURRENT, PROCEED),
        ({"if-modified-since": SAME}, CURRENT, PROCEED),
        ({"if-unmodified-since": OLDER}, None, PROCEED),
        ({"if-unmodified-since": OLDER}, CURRENT, FAILED),
    ],
)
def test_conditions_on_writing(headers: dict[str, str], current: Validators | None, expected: Outcome) -> None:
    assert evaluate("PUT", headers, current) is expected


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [(None, True), ('"abc"', True), ('W/"abc"', False), ('"x"', False), (SAME, True), (NEWER, False), ("soon", False)],
)
def test_if_range_needs_exactly_the_same_representation(if_range: str | None, applies: bool) -> None:
    assert range_applies(if_range, CURRENT) is applies


@pytest.mark.parametrize(
    "form", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_all_three_forms_of_dates_are_read(form: str) -> None:
    assert range_applies(form, Validators('"abc"', 784_111_777))


def test_dates_are_written_in_the_fixed_form() -> None:
    assert http_date(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT"
