"""Commands as another user than root, as a service would run them."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.commands import COMMAND, Command, Preloaded, environment_of, finished
from tests.e2e.processes import ServerProcess, wait_until_ready
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
NOBODY = pwd.getpwnam("nobody")


@contextmanager
def service_folder() -> Iterator[Path]:
    """A folder that belongs to the service's user, with a folder `data` in it; skipped where that takes rights."""
    if os.geteuid() != 0:
        pytest.skip("files of another user can be made by root alone")
    _as_nobody()
    with tempfile.TemporaryDirectory(prefix="service-") as name:
        folder = Path(name)
        (folder / "data").mkdir()
        give(folder)
        yield folder


def give(path: Path, who: pwd.struct_passwd = NOBODY) -> None:
    """Give a folder, with all that is in it, to a user."""
    for each in (path, *path.rglob("*")):
        os.chown(each, who.pw_uid, who.pw_gid)


def as_service(folder: Path, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command in the folder as the service's user, to its end."""
    environment = _environment(folder, {f"MODELYARD_{name}": value for name, value in settings.items()})
    return finished(arguments, preloaded=_as_nobody(), cwd=folder, env=environment)


@contextmanager
def service(folder: Path) -> Iterator[ServerProcess]:
    """A server of the service's user."""
    port = free_port()
    options: dict[str, Any] = {"preloaded": _as_nobody(), "cwd": folder, "env": _environment(folder)}
    with (folder / "server.log").open("ab") as log:
        process = Command(("serve", "--port", str(port)), stdout=log, stderr=log, **options)
    server = ServerProcess(folder, port, process)
    try:
        wait_until_ready(server)
        yield server
    finally:
        process.terminate()
        process.wait(60)


def of_others(folder: Path) -> list[str]:
    """What in a folder, at any depth, does not belong to the service's user."""
    owner = (NOBODY.pw_uid, NOBODY.pw_gid)
    return sorted(str(path) for path in (folder, *folder.rglob("*")) if path.lstat()[4:6] != owner)


@cache
def _as_nobody() -> Preloaded:
    """What begins commands as the service's user: by the environment's interpreter, or the system's where that one lies
    where others than root cannot go.
    """
    who: dict[str, Any] = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": []}
    environment = _environment(Path("/"))
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        try:
            subprocess.run([python, COMMAND, "--version"], env=environment, capture_output=True, check=True, **who)
        except (OSError, subprocess.CalledProcessError):
            continue
        return Preloaded((python,), environment, **who)
    pytest.skip("no interpreter of this version and environment can be run by others than root here")


def _environment(folder: Path, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    environment = environment_of(folder, variables)
    # Who is not root cannot add to the report of coverage.
    clean = {name: value for name, value in environment.items() if not name.startswith("COVERAGE")}
    return clean | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), sysconfig.get_path("purelib")))}
