"""Names that are given durably, on file systems of each kind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from modelyard.disk.durable import rename_to_new


@pytest.fixture(params=[None, errno.EPERM, errno.EOPNOTSUPP], ids=["links", "EPERM", "EOPNOTSUPP"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that links, or one that says in some way that it cannot."""
    if request.param is not None:

        def link(path: Path, _new: Path) -> None:
            raise OSError(request.param, os.strerror(request.param), str(path))

        monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("links")
def test_a_file_gets_a_name_that_nothing_has(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("content")
    rename_to_new(tmp_path / "old", tmp_path / "new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"new": "content"}


@pytest.mark.usefixtures("links")
def test_what_has_the_name_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("content")
    (tmp_path / "new").write_text("another's")
    with pytest.raises(FileExistsError):
        rename_to_new(tmp_path / "old", tmp_path / "new")
    assert (tmp_path / "new").read_text() == "another's"


def test_other_faults_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rename_to_new(tmp_path / "missing", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
