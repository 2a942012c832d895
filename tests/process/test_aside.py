"""Work in a fork: what becomes of this process by how the fork ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

WAYS = {
    "done": ("print('done')", 0, "done\nafter\n"),
    "raised": ("raise SystemExit(3)", 3, ""),
    "killed": (f"os.kill(os.getpid(), {signal.SIGKILL:d})", 128 + signal.SIGKILL, ""),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_process_goes_on_or_ends_as_the_fork_did(tmp_path: Path, way: str) -> None:
    work, status, output = WAYS[way]
    program = f"""
import os
from modelyard.process.aside import aside
before = os.getpid()
def work():
    assert os.getppid() == before
    {work}
aside(work)
assert os.getpid() == before
print("after")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, output)


def test_what_the_work_changes_stays_with_the_fork(tmp_path: Path) -> None:
    program = """
import sys
from modelyard.process.aside import aside
def work():
    import alembic.command
    assert "alembic" in sys.modules
aside(work)
print("alembic" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
