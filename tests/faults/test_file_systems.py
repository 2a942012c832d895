"""File systems that lack something, as shares of Windows and some in user space do, beneath every command.

They cannot be mounted here: the calls answer as theirs do, in the processes of the commands.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import Command, environment_of, finished
from tests.databases import ON_POSTGRESQL, database_url
from tests.e2e.processes import ServerProcess, new_version, wait_until_ready
from tests.ports import free_port

LACKING = f"""#!{sys.executable}
import errno, os, stat, sys
number = getattr(errno, sys.argv.pop(1))
lacks = sys.argv.pop(1).split(",")
fsync = os.fsync

def refuse(*arguments, **options):
    raise OSError(number, os.strerror(number))

def sync_files(descriptor):
    refuse() if stat.S_ISDIR(os.fstat(descriptor).st_mode) else fsync(descriptor)

for call in lacks:
    setattr(os, call, sync_files if call == "fsync" else refuse)
from modelyard.cli import main
main()
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The command on such a file system; before its own arguments it takes what is lacking."""
    path = tmp_path / "lacking"
    path.write_text(LACKING)
    path.chmod(0o755)
    return path


def run(program: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = environment_of(program.parent, {"MODELYARD_GC_GRACE": "0", **variables})
    return finished(arguments, program=program, cwd=program.parent, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "lacks"),
    [
        ("EINVAL", "fsync"),
        ("ENOTSUP", "fsync,link"),
        ("EPERM", "link,chmod,fchown"),
        ("ENOSYS", "fsync,link,chmod,fchown"),
    ],
    ids=lambda value: value.replace(",", "-"),
)
@pytest.mark.timeout(400)
def test_every_command_does_without(tmp_path: Path, program: Path, number: str, lacks: str) -> None:
    port = free_port()
    log = (tmp_path / "server.log").open("ab")
    whole = (number, lacks, "serve", "--port", str(port))
    process = Command(whole, program, cwd=tmp_path, env=environment_of(tmp_path), stdout=log, stderr=log)
    server = ServerProcess(tmp_path, port, process)
    try:
        wait_until_ready(server)
        with server.client as client:
            address = f"{new_version(client)}/f"
            assert client.put(address, content=b"x").status_code == 201
            assert client.get(address).content == b"x"
    finally:
        process.terminate()
        assert process.wait(60) == 0
        log.close()
    target = {"MODELYARD_DATA_DIR": "target"}
    if ON_POSTGRESQL:
        target["MODELYARD_DATABASE_URL"] = database_url(tmp_path / "target", migrated=False)
    for arguments, variables in (
        (("check", "--read"), {}),
        (("backup", "backup"), {}),
        (("backup", "backup"), {}),
        (("restore", "backup"), target),
        (("check", "--read"), target),
        (("copy-blobs", f"file://{tmp_path}/data/blobs", f"file://{tmp_path}/copy"), {}),
        (("gc",), {}),
    ):
        done = run(program, number, lacks, *arguments, **variables)
        assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*/blobs/sha256/*/*/*"))) == 3


@pytest.mark.parametrize("number", ["EIO", "ENOSPC"])
def test_a_loss_is_told_with_the_folder(tmp_path: Path, program: Path, number: str) -> None:
    done = run(program, number, "fsync", "migrate")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.endswith(f": '{tmp_path}'\n")
