"""What is left untraced is as seen by a tracer, which goes on after it."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from tests.tracing import untraced


def test_what_is_left_out_is_not_seen_and_what_comes_after_it_is() -> None:
    seen: list[str] = []

    def tracer(frame: FrameType, _event: str, _argument: object) -> None:
        seen.append(frame.f_code.co_name)

    def within() -> None:
        pass

    def hidden(error: Exception | None) -> None:
        within()
        if error:
            raise error

    def shown() -> None:
        pass

    leaving_out, before = untraced(hidden), sys.gettrace()
    sys.settrace(tracer)
    try:
        leaving_out(None)
        shown()
        with pytest.raises(ValueError, match="told"):
            leaving_out(ValueError("told"))
        shown()
    finally:
        sys.settrace(before)
    assert seen.count("shown") == seen.count("unseen") == 2
    assert {"hidden", "within"}.isdisjoint(seen)
