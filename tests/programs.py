"""Clients of others that some tests need, from Debian's packages: `.ci/services`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def require(program: str) -> str:
    """The program; the test is skipped where it is not installed, and fails there in CI."""
    if found := shutil.which(program):
        return found
    reason = f"{program} is not installed"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a client in a folder to its end, without proxies and files of settings of the tester's own."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8", "no_proxy": "*"}
    command = [require(program), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def curl(folder: Path, *arguments: str) -> tuple[int, str]:
    """Status and body of what curl is answered."""
    done = run(folder, "curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *arguments)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body
