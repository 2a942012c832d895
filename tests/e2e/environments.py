"""Environments of real clients, each made once a machine from its own hash-checked pins."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINS = ROOT / ".constraints" / "clients"
CACHE = ROOT / ".venv" / "clients"
INSTALL_SECONDS = 1200


def client_python(name: str) -> Path:
    """The interpreter of a client's environment. Without one that can be made, CI fails and others skip."""
    pins = PINS / f"{name}.txt"
    folder = CACHE / f"{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(name, pins, folder)
    return folder / "bin" / "python"


def _install(name: str, pins: Path, folder: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    steps = (
        [sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)],
        [
            str(uv),
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            f"--python={folder}/bin/python",
            f"--requirement={pins}",
        ],
    )
    try:
        for step in steps:
            subprocess.run(step, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        reason = f"the client {name} cannot be installed: {getattr(error, 'stderr', None) or error}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    (folder / "complete").touch()
