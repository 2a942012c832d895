"""The pictures of the chapter about pages: as small as they are few, and made anew by one command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import pictures
from tests.live import running

MOST = 80_000  # bytes of each
CHAPTER = pictures.FOLDER.parent / "pages.md"


def test_the_chapter_shows_all_pictures_that_are_there_and_no_other() -> None:
    shown = re.findall(r"!\[[^\]]{20,}\]\(pictures/([\w-]+\.png)\)", CHAPTER.read_text())
    assert sorted(shown) == sorted(path.name for path in pictures.FOLDER.iterdir())
    assert all(path.stat().st_size <= MOST for path in pictures.FOLDER.iterdir())


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.timeout(180)
def test_pictures_are_made_from_a_registry_that_is_seeded_for_them(tmp_path: Path) -> None:
    with running(tmp_path / "data") as live:
        made = pictures.take(tmp_path / "pictures", live)
    assert sorted(path.name for path in made) == sorted(path.name for path in pictures.FOLDER.iterdir())
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)
    assert all(path.stat().st_size <= MOST for path in made)
