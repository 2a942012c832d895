"""A lock that a process has alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard_client.local import locking
from modelyard_client.local.locking import Lock


def test_one_has_it_until_it_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with Lock(path) as first:
        assert first.take()
        assert not Lock(path).take()
    assert Lock(path).take()


def test_one_that_was_removed_in_between_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    monkeypatch.setattr(locking, "_lock", lambda _descriptor: path.unlink())
    assert not Lock(path).take()
