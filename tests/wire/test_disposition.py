"""Content-Disposition for any name."""

from __future__ import annotations

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
        ('50%"\\é.bin', "50____.bin", "50%25%22%5C%C3%A9.bin"),
    ],
)
def test_both_forms_are_sent(name: str, plain: str, encoded: str) -> None:
    assert attachment(name) == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


@given(st.text(st.characters(codec="utf-8")))
def test_the_exact_name_can_always_be_read_back(name: str) -> None:
    value = attachment(name)
    assert value.isascii()
    assert value.isprintable()
    assert unquote(value.rpartition("''")[2]) == name
