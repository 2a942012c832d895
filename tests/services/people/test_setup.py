"""What a data folder looks like before a server makes it its own."""

from __future__ import annotations

from pathlib import Path

from modelyard.services.people import setup


def test_a_folder_that_cannot_be_listed_seems_to_be_somebody_s(tmp_path: Path) -> None:
    assert setup._is_shared(tmp_path / "nowhere", set())
    (tmp_path / "other").mkdir()
    assert [setup._is_shared(tmp_path, own) for own in ({"other"}, set[str]())] == [False, True]
