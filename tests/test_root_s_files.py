"""What commands leave behind that were run as root on the folders of a service that runs as somebody else."""

from __future__ import annotations

import pwd
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.blobs.local import LocalBlobStore
from tests.commands import Preloaded, environment_of, finished, run
from tests.databases import ON_POSTGRESQL, database_url
from tests.e2e.processes import new_version, serving
from tests.service_user import NOBODY, as_service, give, of_others, service, service_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = pwd.getpwuid(0)
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("migrate",),
    ("check",),
    ("check", "--read", "--max-time", "1h"),
    ("gc",),
    ("user", "create", "{0}"),
    ("project", "create", "root/{0}"),
    ("token", "create", "--user", "root", "--name", "{0}"),
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with service_folder() as found:
        yield found


def upload(folder: Path, name: str = "p") -> None:
    """Serve as root, for the length of one upload."""
    with serving(folder) as server, server.client as client:
        assert client.put(f"{new_version(client, name)}/f", content=name.encode()).status_code == 201


@pytest.mark.once
def test_the_first_start(folder: Path) -> None:
    upload(folder)
    assert of_others(folder / "data") == []


@pytest.mark.once
def test_commands_on_a_registry_of_the_service(folder: Path) -> None:
    """Each of root's makes its files in a folder where no command was run before, and the service goes on with them."""
    upload(folder)
    give(folder)
    _garbage(folder, b"that nothing refers to")
    for command in COMMANDS:
        done = run(folder, *(part.format("first") for part in command), GC_GRACE="0")
        assert done.returncode == 0, done.stderr
        assert of_others(folder / "data") == [], command
    _garbage(folder, b"nor to this")
    for command in (*COMMANDS, ("gc",), ("check", "--read")):
        done = as_service(folder, *(part.format("again") for part in command), GC_GRACE="0")
        assert done.returncode == 0, done.stderr


def _garbage(folder: Path, content: bytes) -> None:
    with LocalBlobStore(folder / "data" / "blobs").begin() as writer:
        writer.write([content])
        writer.publish()


@pytest.mark.once
def test_a_command_that_finds_a_killed_server(folder: Path) -> None:
    """Its log is still there, and root's command is the last to close the database, or the first to open it."""
    with serving(folder) as server, server.client as client:
        new_version(client)
        server.kill()
    give(folder)
    with serving(folder) as server:
        assert of_others(folder / "data") == []
        server.kill()
    assert of_others(folder / "data") == []


def test_a_backup(folder: Path) -> None:
    """A new one in a folder of the service's user, and one that is brought up to date."""
    upload(folder)
    give(folder)
    assert run(folder, "backup", "backup").returncode == 0
    assert of_others(folder / "backup") == []
    upload(folder, "q")
    assert run(folder, "backup", "backup").returncode == 0
    assert of_others(folder / "backup") == []
    assert of_others(folder / "data") == []


def test_a_backup_into_a_folder_of_somebody_else_can_be_read_there(folder: Path) -> None:
    """Its blobs cannot be links then: whoever the folder belongs to could not open them."""
    upload(folder)
    (folder / "backup").mkdir()
    shutil.chown(folder / "backup", NOBODY.pw_uid, NOBODY.pw_gid)
    give(folder / "data", ROOT)
    assert "\t1 copied\t" in run(folder, "backup", "backup").stdout
    assert of_others(folder / "backup") == []


def test_a_backup_of_root_s_own_is_still_made_of_links(folder: Path) -> None:
    upload(folder)
    give(folder)
    (folder / "backup").mkdir()
    assert "\t1 linked\t" in run(folder, "backup", "backup").stdout
    assert (folder / "backup" / "manifest.json").stat().st_uid == 0


@pytest.mark.parametrize("owner", ["root", "service"])
def test_a_restore(folder: Path, owner: str, tmp_path: Path) -> None:
    """Also of a backup that is root's, whose blobs must not be linked: they would stay root's."""
    upload(folder)
    give(folder)
    if owner == "root":
        (folder / "backup").mkdir()
    assert run(folder, "backup", "backup").returncode == 0
    if owner == "root":
        give(folder / "backup", ROOT)
    shutil.rmtree(folder / "data")
    (folder / "data").mkdir()
    give(folder / "data")
    url = {"DATABASE_URL": database_url(tmp_path, migrated=False)} if ON_POSTGRESQL else {}
    done = run(folder, "restore", "backup", **url)
    assert done.returncode == 0, done.stderr
    assert ("\t1 copied\t" if owner == "root" else "\t1 linked\t") in done.stdout
    assert of_others(folder / "data") == []
    if not ON_POSTGRESQL:
        done = as_service(folder, "check", "--read")
        assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.once
def test_blobs_and_a_database_that_are_copied(folder: Path) -> None:
    upload(folder)
    assert run(folder, "copy-blobs", f"file://{folder}/data/blobs", f"file://{folder}/data/copy").returncode == 0
    source = f"sqlite:///{folder}/data/modelyard.db"
    assert run(folder, "copy-database", source, f"sqlite:///{folder}/data/copy.db").returncode == 0
    assert of_others(folder / "data") == []
    moved = {"DATABASE_URL": f"sqlite:///{folder}/data/copy.db", "BLOB_URL": f"file://{folder}/data/copy"}
    done = as_service(folder, "check", "--read", **moved)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.sqlite
def test_the_service_goes_on_after_root_s_commands(folder: Path) -> None:
    upload(folder)
    for command in (("check",), ("gc",), ("backup", "backup")):
        assert run(folder, *command).returncode == 0
    with service(folder) as server, server.client as client:
        for number in range(20):  # some go into folders that root's server has made
            assert client.put(f"{new_version(client, str(number))}/f", content=b"p").status_code == 201
        for command in (("check", "--read"), ("gc",), ("backup", "backup")):
            assert as_service(folder, *command).returncode == 0
            assert run(folder, *command).returncode == 0
    assert of_others(folder / "data") == of_others(folder / "backup") == []


@pytest.mark.sqlite
def test_lock_files_that_root_left_before_are_given_away_by_its_next_command(folder: Path) -> None:
    assert run(folder, "migrate").returncode == 0
    for work in ("check", "gc", "blobs"):
        (folder / "data" / f"modelyard.db.{work}-lock").touch(mode=0o600)
    assert len(of_others(folder / "data")) == 3
    for command in (("check",), ("gc",), ("backup", "backup")):
        assert run(folder, *command).returncode == 0
    assert of_others(folder / "data") == []


def test_a_link_that_the_service_has_made_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """Or whoever breaks into the service could have root give away any file, or close it."""
    secret = tmp_path / "of-root"
    secret.write_text("x")
    secret.chmod(0o644)
    upload(folder)
    for name in ("modelyard.db.gc-lock", "modelyard.db.blobs-lock", "root-token", "backup/manifest.json.new"):
        path = folder / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(secret)
    for command in (("migrate",), ("gc",), ("backup", "data/backup")):
        run(folder, *command)
    assert (secret.read_text(), secret.stat().st_uid, secret.stat().st_mode & 0o777) == ("x", 0, 0o644)


@pytest.mark.once
def test_where_root_may_not_give_files_away_they_are_made_all_the_same(folder: Path) -> None:
    """As in a container without CAP_CHOWN, or on a share that knows root as somebody else."""
    poor = Preloaded(("setpriv", "--bounding-set=-chown,-fowner", sys.executable))
    for command in (("migrate",), ("check",), ("gc",), ("backup", "backup")):
        done = finished(command, preloaded=poor, cwd=folder, env=environment_of(folder))
        assert done.returncode == 0, done.stderr
    assert of_others(folder / "backup")
