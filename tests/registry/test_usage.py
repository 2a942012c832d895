"""What a process keeps of projects that were written to lately."""

from __future__ import annotations

import pytest

from modelyard.registry import usage
from modelyard.registry.usage import Entered


def test_guesses_are_kept_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MAX_ENTERED", 3)
    entered = Entered()
    for number in range(3):
        entered.note(number, 10 + number)
    assert [entered.get(number) for number in range(4)] == [10, 11, 12, None]
    entered.note(3, 13)
    assert [entered.get(number) for number in range(4)] == [None, None, None, 13]
