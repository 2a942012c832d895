"""What a refusal is to the client."""

from __future__ import annotations

import pytest

from modelyard_client.errors import (
    ClientError,
    Forbidden,
    Mismatch,
    NoRoom,
    NotFound,
    NotIdentified,
    Refused,
    Unreachable,
)
from modelyard_client.http.refusals import error_of, sentence_of


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"{}", Refused),
        (400, b'{"message": "it does not match its digest"}', Mismatch),
        (401, b"", NotIdentified),
        (403, b"{}", Forbidden),
        (403, b'{"message": "The storage limit is reached"}', NoRoom),
        (404, b"{}", NotFound),
        (410, b"{}", NotFound),
        (429, b"{}", Unreachable),
        (460, b"{}", Mismatch),
        (500, b"{}", Unreachable),
        (507, b"{}", NoRoom),
    ],
)
def test_a_status_has_a_kind(status: int, body: bytes, kind: type[ClientError]) -> None:
    assert type(error_of(status, body, "GET /x")) is kind


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"message": "no"}', "no"),
        (b'{"error": "bad", "error_description": "worse"}', "worse"),
        (b'{"message": {"name": ["is taken", "is too long"], "x": "is odd"}}', "name is taken, is too long; x is odd"),
        (b'{"message": ["no"]}', '["no"]'),
        (b'{"message": "a\\u001b[31mb"}', "a [31mb"),
        (b"[1]", ""),
        (b"<html>", ""),
        (b"{}", ""),
    ],
)
def test_what_it_says_is_shown_in_one_line(body: bytes, said: str) -> None:
    assert sentence_of(body) == said
