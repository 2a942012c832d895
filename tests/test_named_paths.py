"""Whatever the system refuses a command, the line that says so names the path."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.commands import environment_of, finished, run
from tests.databases import ON_POSTGRESQL, database_url
from tests.disks import fill
from tests.e2e.processes import MIB, new_version, serving
from tests.faults.test_disk import small_disk
from tests.service_user import as_service, give, service_folder

INTO_FILES = ("copy-blobs", "copy-database")  # whichever database they are copied from


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry in `data`, with a file of 64 KiB, and a backup of it in `backup`."""
    folder = tmp_path_factory.mktemp("original")
    with serving(folder) as server, server.client as client:
        assert client.put(f"{new_version(client)}/f", content=os.urandom(65_536)).status_code == 201
    assert run(folder, "backup", "backup").returncode == 0
    return folder


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that says why; lines of the log may come before."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    *_log, line = done.stderr.splitlines()
    assert line.startswith("modelyard: ")
    return line


def elsewhere(data: Path) -> dict[str, str]:
    """Settings for a registry in another folder."""
    database = {"DATABASE_URL": database_url(data, migrated=False)} if ON_POSTGRESQL else {}
    return {"DATA_DIR": str(data), **database}


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [*("backup", "restore", "migrate"), *(pytest.param(each, marks=pytest.mark.once) for each in INTO_FILES)],
)
@pytest.mark.timeout(400)
def test_a_disk_that_is_full_sooner_or_later(original: Path, command: str) -> None:
    statuses = []
    for room in (0, 8, 100, 430, 2500):  # KiB
        with small_disk(4 * MIB) as disk:
            (disk / "reserved").write_bytes(bytes(room * 1024))
            fill(disk)
            (disk / "reserved").unlink()
            source = f"sqlite:///{original}/data/modelyard.db"
            arguments: dict[str, tuple[str | Path, ...]] = {
                "backup": (disk / "backup",),
                "restore": ("backup",),
                "copy-blobs": (f"file://{original}/data/blobs", f"file://{disk}/blobs"),
                "copy-database": (source, f"sqlite:///{disk}/copy.db"),
                "migrate": (),
            }
            settings = elsewhere(disk / "data") if command in ("restore", "migrate") else {}
            done = run(original, command, *arguments[command], **settings)
            statuses.append(done.returncode)
            if done.returncode:
                assert f"'{disk}/" in refusal(done)
    assert (statuses[0], statuses[-1]) == (1, 0)


@pytest.mark.once
def test_results_that_cannot_be_printed(original: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = finished(("user", "create", "ada"), cwd=original, env=environment_of(original), stdout=full)
    assert (done.returncode, done.stderr) == (
        1,
        "modelyard: [Errno 28] No space left on device: 'standard output'\n",
    )


def test_a_backup_whose_place_is_taken(original: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert f"Not a directory: '{tmp_path}/file'" in refusal(run(original, "backup", tmp_path / "file" / "backup"))


@pytest.mark.once
def test_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    for command in (("serve", "--port", "0"), ("migrate",)):
        assert f"Not a directory: '{tmp_path}/data'" in refusal(run(tmp_path, *command))


@pytest.mark.once
def test_a_data_folder_that_is_a_link_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "unmounted")
    assert f"Not a directory: '{tmp_path}/data'" in refusal(run(tmp_path, "migrate"))


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_folders_and_files_of_others() -> None:
    """What was left by root before, say, is closed to the service, which can only say so."""
    with service_folder() as folder:
        data = folder / "data"
        url = {"DATABASE_URL": f"sqlite:///{data}/modelyard.db"}
        assert as_service(folder, "migrate", **url).returncode == 0
        assert as_service(folder, "gc", **url).returncode == 0
        for path, command in (
            (data / "modelyard.db.gc-lock", ("gc",)),
            (data / "modelyard.db", ("check",)),
            (data / "blobs" / "incoming", ("copy-blobs", f"file://{data}/blobs", f"file://{data}/blobs/incoming/x")),
            (data / "blobs" / "sha256", ("gc",)),
        ):
            mode = path.stat().st_mode & 0o7777
            os.chown(path, 0, 0)
            assert re.search(f"Permission denied: '{path}[/x]*'", refusal(as_service(folder, *command, **url)))
            path.chmod(mode)
            give(folder)
        os.chown(data, 0, 0)
        data.chmod(0o555)
        assert f"Permission denied: '{data}/modelyard.db'" in refusal(as_service(folder, "check", **url))
        folder.chmod(0o755)
        os.chown(folder, 0, 0)
        for refused in (("backup", "backup"), ("migrate",), ("serve", "--port", "0")):
            fresh = {"DATABASE_URL": url["DATABASE_URL"], "DATA_DIR": "new", "BLOB_URL": f"file://{folder}/new/blobs"}
            assert re.search(f"Permission denied: '{folder}/", refusal(as_service(folder, *refused, **fresh)))
