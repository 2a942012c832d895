"""Some cuts of uploads that go on, and what their driver would not forgive."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.crash.contents import MIB
from tests.crash.cuts import Cuts, run
from tests.crash.driver import CrashFailure
from tests.e2e.processes import ServerProcess

SEED = 20


@pytest.mark.slow
def test_offsets_never_fall_and_files_are_whole_whatever_is_cut_and_killed(tmp_path: Path) -> None:
    lines: list[str] = []
    run(tmp_path, Cuts(SEED, 60, restarts=0.04), lines.append)
    assert lines[0].startswith(f"seed {SEED}, 60 cuts")
    assert sum(int(line.split()[-2]) for line in lines[1:]) > 0  # kills


@pytest.mark.slow
def test_an_upload_that_loses_bytes_breaks_the_run_and_its_seed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = ServerProcess.kill

    def kill_and_lose(server: ServerProcess) -> None:
        kill(server)
        for partial in (server.folder / "data" / "blobs" / "incoming").iterdir():
            os.truncate(partial, partial.stat().st_size // 2)

    monkeypatch.setattr(ServerProcess, "kill", kill_and_lose)
    with pytest.raises(CrashFailure, match=rf"of seed {SEED}"):
        run(tmp_path, Cuts(SEED, 60, restarts=0.3, largest=MIB, max_workers=1))
