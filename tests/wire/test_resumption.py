"""What the drafts of resumable uploads say in headers."""

from __future__ import annotations

import pytest

from modelyard.wire import resumption


@pytest.mark.parametrize(("text", "said"), [("?1", True), (" ?0 ", False)])
def test_a_request_says_whether_it_is_the_last(text: str, said: bool) -> None:
    assert resumption.complete({"upload-complete": text}) is said


def test_a_request_may_say_nothing_of_it_but_nothing_else() -> None:
    assert resumption.complete({}) is None
    with pytest.raises(ValueError, match="neither"):
        resumption.complete({"upload-complete": "yes"})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("bytes 0-0/1", (0, 1, 1)),
        ("bytes 5-9/*", (5, 5, None)),
        ("bytes 5-4/10", None),
        ("bytes 0-10/10", None),
        ("bytes */10", None),
        ("", None),
    ],
)
def test_a_range_is_whole_or_none(text: str, place: tuple[int, int, int | None] | None) -> None:
    assert resumption.content_range(text) == place
