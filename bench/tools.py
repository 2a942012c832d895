"""What the suite compares with and drives with: found, or installed where that can be done, or named as missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from functools import cache
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
MLFLOW = "mlflow>=3,<4"
HUB = "huggingface_hub>=2,<3"
PLACES = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
# Debian starts a service as it is installed, unless the machine seems to be on its way down or single.
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


class MissingError(Exception):
    """A tool that is not there and cannot be installed here."""


def debian(program: str) -> Path:
    """A program from the Debian package of the same name, installed if root runs this. Raises MissingError."""
    found = shutil.which(program, path=PLACES)
    if found is None:
        _apt_install(program)
        found = shutil.which(program, path=PLACES)
    if found is None:
        raise MissingError(f"{program} is not installed: apt-get install {program}")
    return Path(found)


def mlflow(folder: Path) -> Path:
    """The current MLflow 3 in an environment of its own under `folder`, kept for the next time. Raises MissingError."""
    return _installed(folder / "mlflow", "mlflow", MLFLOW)


def hub(folder: Path) -> Path:
    """Hugging Face's newest command, in the same way. Raises MissingError."""
    return _installed(folder / "hub", "hf", HUB)


def _installed(environment: Path, command: str, requirement: str) -> Path:
    program = environment / "bin" / command
    if not program.exists():
        click.echo(f"installing {requirement} into {environment}, once", err=True)
        venv.create(environment, with_pip=True, clear=True)
        pip = [str(program.with_name("python")), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _attempt([*pip, requirement], f"{requirement} could not be installed")
    return program


def modelyard() -> Path:
    """The program beside the Python that runs the suite, as `make` sets it up. Raises MissingError."""
    program = Path(sys.executable).with_name("modelyard")
    if not program.exists():
        raise MissingError(f"{program} is not there: make bench, or name one with --modelyard")
    return program


def package_version(program: Path, package: str) -> str:
    """The version of a package in the environment of its command; asking the program would take seconds."""
    found = program.parents[1].glob(f"lib/python*/site-packages/{package}-*.dist-info")
    return next((path.stem.partition("-")[2] for path in found), "unknown")


def version(program: Path, option: str = "--version") -> str:
    """What a program says of its version, in one line."""
    done = subprocess.run([str(program), option], capture_output=True, text=True, check=False)  # noqa: S603
    return next(iter((done.stdout + done.stderr).splitlines()), "").strip() or "unknown"


def attempt(find: Callable[[], Path]) -> tuple[Path | None, str]:
    """The program and nothing, or no program and why."""
    try:
        return find(), ""
    except MissingError as error:
        return None, str(error)


@cache
def _apt_install(package: str) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    click.echo(f"installing {package} from Debian", err=True)
    for command in (["update", "-qq"], ["install", "-qq", "--yes", "--no-install-recommends", package]):
        _attempt(["/usr/bin/apt-get", *command], f"{package} could not be installed")


def _attempt(command: list[str], complaint: str) -> None:
    done = subprocess.run(command, env=os.environ | QUIET, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise MissingError(f"{complaint}: {done.stderr.strip()[-300:]}")
