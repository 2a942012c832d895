"""Numbers, members and names as MLflow's JSON may spell them; what the requests are that use them is tested by HTTP."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated

import pytest
from pydantic import ValidationError

from modelyard.errors import ParameterError
from modelyard.routes.mlflow.messages import MAX_INT64, MAX_NUMBER, NUMBERED, Double, Flag, Int64, Message, NumberOrText


class View(StrEnum):
    ACTIVE = "ACTIVE_ONLY"
    DELETED = "DELETED_ONLY"


class Asked(Message):
    """A request with each kind of value."""

    max_step: Int64 = 0
    rate: Double = 0.0
    view: Annotated[View, NUMBERED] = View.ACTIVE
    ascending: Flag = True
    user: NumberOrText = ""


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"max_step": 7}, 7),
        ({"maxStep": "-7"}, -7),
        ({"max_step": 7.0}, 7),
        ({"max_step": "7e2"}, 700),
        ({"max_step": None}, 0),
        ({"max_step": str(MAX_INT64)}, MAX_INT64),
    ],
    ids=str,
)
def test_an_integer_is_read(given: dict[str, object], read: int) -> None:
    assert Asked.model_validate(given).max_step == read


@pytest.mark.parametrize(
    "value", [True, 1.5, 1e300, "1.5", "nan", "x", "0" * MAX_NUMBER + "1", MAX_INT64 + 1, []], ids=str
)
def test_what_is_no_integer_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="no such number"):
        Asked.model_validate({"max_step": value})


@pytest.mark.parametrize(
    ("value", "read"), [(1, 1.0), ("1.5", 1.5), ("-Infinity", -math.inf), ("1e3", 1000.0)], ids=str
)
def test_a_double_is_read(value: object, read: float) -> None:
    assert Asked.model_validate({"rate": value}).rate == read


@pytest.mark.parametrize("value", [True, "x", "0" * MAX_NUMBER + "1"], ids=str)
def test_what_is_no_double_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="no such number"):
        Asked.model_validate({"rate": value})


@pytest.mark.parametrize("value", ["DELETED_ONLY", 2, "2", 2.0], ids=repr)
def test_a_member_comes_by_its_name_or_its_number(value: object) -> None:
    assert Asked.model_validate({"view": value}).view is View.DELETED


@pytest.mark.parametrize("value", [0, 3, "3", "deleted", True], ids=repr)
def test_what_is_no_member_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        Asked.model_validate({"view": value})


def test_a_field_has_two_names_and_comes_by_one() -> None:
    with pytest.raises(ParameterError) as refused:
        Asked.model_validate({"max_step": 1, "maxStep": 1})
    assert "both 'max_step' and 'maxStep'" in str(refused.value.body)
    assert Asked.model_validate({"max_step": None, "maxStep": 1}).max_step == 1


@pytest.mark.parametrize(("value", "read"), [(True, True), (False, False), ("false", False), (None, True)], ids=repr)
def test_a_truth_value_is_read(value: object, read: bool) -> None:
    assert Asked.model_validate({"ascending": value}).ascending is read


@pytest.mark.parametrize("value", [0, 1, 1.0, "x", []], ids=repr)
def test_what_is_no_truth_value_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        Asked.model_validate({"ascending": value})


def test_a_text_may_come_as_a_number_and_the_schema_says_so() -> None:
    assert Asked.model_validate({"user": 7}).user == "7"
    with pytest.raises(ValidationError):
        Asked.model_validate({"user": True})
    (told, _null) = Asked.model_json_schema()["properties"]["user"]["anyOf"]
    assert [kind["type"] for kind in told["anyOf"]] == ["string", "integer"]
