"""Files that are their user's alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard_client.local.private import write_private


def test_what_cannot_be_put_in_its_place_leaves_nothing_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "kept" / "inner").mkdir(parents=True)
    with pytest.raises(OSError, match="kept"):
        write_private(folder / "kept", b"secret")
    assert [path.name for path in folder.iterdir()] == ["kept"]
