"""Content-Disposition for any name."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.wire.disposition import attachment


@pytest.mark.parametrize(
    ("name", "plain", "encoded"),
    [
        ("model.pkl", "model.pkl", "model.pkl"),
        ("a b.bin", "a b.bin", "a%20b.bin"),
        ('50%"\\é.bin', "50____-9a54bb87.bin", "50%25%22%5C%C3%A9.bin"),
        ("é", "_-4a99557e", "%C3%A9"),
        (".é", "._-76fb86f5", ".%C3%A9"),
    ],
)
def test_both_forms_are_sent(name: str, plain: str, encoded: str) -> None:
    assert attachment(name) == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


@given(
    st.lists(st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), max_size=100), min_size=2, unique=True)
)
def test_no_two_names_have_the_same_plain_form(names: list[str]) -> None:
    plain = [re.search('filename="([^"]*)"', attachment(name)) for name in names]
    assert len({found[1] for found in plain if found}) == len(names)


@pytest.mark.parametrize("name", ["x" * 253 + "é", "x." + "y" * 251 + "é", "模" * 85, "é" + "x" * 249 + ".bin"])
def test_the_plain_form_is_no_longer_than_a_name_may_be(name: str) -> None:
    found = re.search('filename="([^"]*)"', attachment(name))
    assert found is not None
    assert len(found[1]) <= 255


@given(st.text(st.characters(codec="utf-8")))
def test_the_exact_name_can_always_be_read_back(name: str) -> None:
    value = attachment(name)
    assert value.isascii()
    assert value.isprintable()
    assert unquote(value.rpartition("''")[2]) == name
