"""What is kept of uploads that were left off."""

from __future__ import annotations

import os
import time
from pathlib import Path

from modelyard_client import Registry
from modelyard_client.push.pushing import SMALL_BYTES
from modelyard_client.push.remembering import KEPT_SECONDS, prune


def test_what_no_server_keeps_any_more_is_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    old, young = folder / "old.json", folder / "young.json"
    for path, age in ((old, KEPT_SECONDS + 60), (young, KEPT_SECONDS - 60)):
        path.write_text("{}")
        os.utime(path, (time.time() - age, time.time() - age))
    prune(folder)
    assert list(folder.iterdir()) == [young]


def test_where_nothing_can_be_kept_files_are_sent_all_the_same(
    registry: Registry, target: str, home: Path, tmp_path: Path
) -> None:
    for folder in ("state", "data", "cache"):
        (home / folder).write_text("in the way")
    (tmp_path / "large.bin").write_bytes(bytes(SMALL_BYTES + 1))
    assert registry.push([tmp_path / "large.bin"], target).files[0].outcome == "sent"
