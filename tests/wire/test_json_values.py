"""No more is made of JSON than anybody asks for."""

from __future__ import annotations

import json

import pytest

from modelyard.wire.json_values import MAX_VALUES, SLICE_BYTES, TooManyValues, Unstorable, parse

MANY = MAX_VALUES + 1


@pytest.mark.parametrize(
    "document",
    [
        b"[" + b"0," * MANY + b"0]",
        b"[" + b"{}," * MANY + b"0]",
        b"{" + b'"a":0,' * MANY + b'"a":0}',
        b"[" + b'"",' * MANY + b"0]",
        b'["' + b"\\\\" * SLICE_BYTES + b'",' + b"[]," * MANY + b"0]",
        b'["\\"",' + b'"\\\\",' * MANY + b"0]",
        ("[" + "0," * MANY + "0]").encode("utf-16"),
    ],
    ids=["numbers", "objects", "members", "texts", "after-backslashes", "escapes", "utf-16"],
)
def test_too_many_values_are_refused_before_they_are_made(document: bytes) -> None:
    with pytest.raises(TooManyValues):
        parse(document)


@pytest.mark.parametrize(
    "text",
    [
        "[{,:" * MANY,
        '"' + "[,]" * MANY,
        "\\" * (SLICE_BYTES + 1) + "," * MANY,
        "a" * (SLICE_BYTES - 3) + '\\"' + "," * MANY,
        ("a" * (SLICE_BYTES - 2) + "\\" + "," * MANY) * 2,
    ],
    ids=["marks", "quote", "backslashes", "quote-at-an-edge", "backslash-at-an-edge"],
)
def test_marks_within_a_text_are_no_values(text: str) -> None:
    assert parse(json.dumps({"schema": text}).encode()) == {"schema": text}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_every_encoding_of_unicode_is_read(encoding: str) -> None:
    assert parse('{"ä": 1}'.encode(encoding)) == {"ä": 1}


def test_what_is_spelt_as_nul_may_be_none() -> None:
    assert parse(rb'["\\u0000", {"a\\u0000": [1]}]') == ["\\u0000", {"a\\u0000": [1]}]
    for document in (rb'["\u0000"]', rb'[[{"a": {"\u0000": 1}}]]'):
        with pytest.raises(Unstorable):
            parse(document)
