"""What tests install for themselves, each made once a machine from its own hash-checked pins."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINS = ROOT / ".constraints" / "clients"
CACHE = ROOT / ".venv" / "clients"
INSTALL_SECONDS = 1200

Steps = Sequence[Sequence[str | Path]]


def client_python(name: str) -> Path:
    """The interpreter of a client's environment. Without one that can be made, CI fails and others skip."""
    pins = PINS / f"{name}.txt"

    def steps(folder: Path) -> Steps:
        install: list[str | Path] = [
            Path(sys.executable).with_name("uv"),
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
        ]
        return (
            [sys.executable, "-m", "venv", "--clear", "--without-pip", folder],
            [*install, f"--python={folder}/bin/python", f"--requirement={pins}"],
        )

    return installed(name, pins, steps) / "bin" / "python"


def installed(name: str, pins: Path, steps: Callable[[Path], Steps]) -> Path:
    """The folder that commands have filled from pins. Where they cannot, CI fails and others skip."""
    # Resolved, as npm installs into no folder that is reached by a link.
    folder = CACHE.resolve() / f"{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(name, steps(folder))
            (folder / "complete").touch()
    return folder


def _install(name: str, steps: Steps) -> None:
    try:
        for step in steps:
            subprocess.run(step, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        reason = f"{name} cannot be installed: {getattr(error, 'stderr', None) or error}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
