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

from tests.commands import COMMAND, environment_of
from tests.e2e.processes import ServerProcess, wait_until_ready
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
NOBODY = pwd.getpwnam("nobody")
MAIN = ("-c", "from modelyard.cli import main; main()")


@contextmanager
def service_folder() -> Iterator[Path]:
    """A folder that belongs to the service's user, with a folder `data` in it; skipped where that takes rights."""
    if os.geteuid() != 0:
        pytest.skip("files of another user can be made by root alone")
    _command()
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
    options = _options(folder, settings)
    return subprocess.run([*_command(), *arguments], **options, capture_output=True, text=True, check=False)


@contextmanager
def service(folder: Path) -> Iterator[ServerProcess]:
    """A server of the service's user."""
    port = free_port()
    command = [*_command(), "serve", "--port", str(port)]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, **_options(folder, {}), stdout=log, stderr=log)
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
def _command() -> tuple[str | Path, ...]:
    """The command; the environment's interpreter may lie where others than root cannot go, the system's does not."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for command in ((COMMAND,), (f"/usr/bin/{version}", *MAIN)):
        try:
            subprocess.run([*command, "--version"], **_options(Path("/"), {}), capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    pytest.skip("no interpreter of this version and environment can be run by others than root here")


def _options(folder: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    environment = environment_of(folder, {f"MODELYARD_{name}": value for name, value in settings.items()})
    # Who is not root cannot add to the report of coverage.
    clean = {name: value for name, value in environment.items() if not name.startswith("COVERAGE")}
    packages = os.pathsep.join((str(ROOT / "src"), sysconfig.get_path("purelib")))
    return {
        "cwd": folder,
        "env": clean | {"PYTHONPATH": packages},
        "user": NOBODY.pw_uid,
        "group": NOBODY.pw_gid,
        "extra_groups": [],
    }
