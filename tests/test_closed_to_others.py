"""Who may read what commands make, and what was there before: its owner, and nobody else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modelyard.disk.private import tighten
from modelyard.services.people.setup import prepare
from modelyard.settings import Settings
from tests.commands import environment_of, finished, run
from tests.databases import ON_POSTGRESQL, database_url
from tests.e2e.processes import launched, new_version, serving, wait_until_ready
from tests.live import running
from tests.ports import free_port
from tests.service_user import NOBODY, as_service, give, service_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

MODES = {True: 0o700, False: 0o600}


def others(*folders: Path) -> dict[str, str]:
    """What does not have the mode of a private file or folder, at any depth, and what mode it has."""
    paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    modes = {path: path.stat().st_mode & 0o7777 for path in paths}
    return {str(path): f"{mode:04o}" for path, mode in modes.items() if mode != MODES[path.is_dir()]}


def settings(data: Path, **values: object) -> Settings:
    url = database_url(data)
    return Settings(_env_file=None, data_dir=data, database_url=url, **values)  # type: ignore[call-arg, arg-type]


def modes(folder: Path, *names: str) -> list[str]:
    return [f"{(folder / name).stat().st_mode & 0o7777:04o}" for name in names]


@pytest.mark.parametrize("umask", [0o000, pytest.param(0o022, marks=pytest.mark.once), 0o777], ids=oct)
def test_what_commands_make_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """A server at work among them, whose database has its log and that log's index."""
    before = os.umask(umask)
    try:
        server = launched(tmp_path, port := free_port())
    finally:
        os.umask(before)
    try:
        wait_until_ready(server)
        with server.client as client:
            assert client.put(f"{new_version(client)}/f", content=b"x").status_code == 201
        url = database_url(tmp_path / "data") if ON_POSTGRESQL else f"sqlite:///{tmp_path}/data/modelyard.db"
        for command in (
            ("check",),
            ("gc",),
            ("backup", "backup"),
            ("backup", "backup"),
            ("copy-blobs", f"file://{tmp_path}/data/blobs", f"file://{tmp_path}/copy"),
            ("copy-database", url, f"sqlite:///{tmp_path}/copy/modelyard.db"),
        ):
            assert finished(command, cwd=tmp_path, env=environment_of(tmp_path), umask=umask).returncode == 0
        assert others(tmp_path / "data", tmp_path / "backup", tmp_path / "copy") == {}
    finally:
        server.process.terminate()
        assert server.process.wait(60) == 0
    target = tmp_path / "target"
    environment = environment_of(tmp_path, {"MODELYARD_DATA_DIR": str(target)})
    if ON_POSTGRESQL:
        environment["MODELYARD_DATABASE_URL"] = database_url(target, migrated=False)
    assert finished(("restore", "backup"), cwd=tmp_path, env=environment, umask=umask).returncode == 0
    assert others(target) == {}
    assert port


def test_what_was_there_is_closed_at_the_start(tmp_path: Path) -> None:
    """And said so, once."""
    for command in ("migrate", "check"):
        assert run(tmp_path, command).returncode == 0
    with serving(tmp_path) as server, server.client as client:
        assert client.put(f"{new_version(client)}/f", content=b"x").status_code == 201
        server.kill()  # so that the database's log is there as well
    data = tmp_path / "data"
    opened = [data, data / "root-token", data / "blobs", *data.glob("blobs/*"), *data.glob("modelyard.db*")]
    for each in opened:
        each.chmod(0o2755 if each.is_dir() else 0o644)
    done = run(tmp_path, "migrate", LOG_FORMAT="json")
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["event"] for line in told} == {"closed to others"}
    assert sorted(line["path"] for line in told) == sorted(map(str, opened))
    assert (told[0]["before"], told[0]["mode"]) in (("0644", "0600"), ("2755", "2700"))
    assert modes(data, ".", "blobs", "blobs/sha256", "blobs/incoming") == ["2700"] * 4
    assert all(mode in ("0600", "2700") for mode in others(data).values())
    assert run(tmp_path, "migrate", LOG_FORMAT="json").stderr == ""


def test_a_backup_is_closed_when_it_is_brought_up_to_date(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    (tmp_path / "backup").mkdir(mode=0o755)
    assert run(tmp_path, "backup", "backup").returncode == 0
    (tmp_path / "backup").chmod(0o755)
    assert run(tmp_path, "backup", "backup").returncode == 0
    assert others(tmp_path / "backup") == {}


def test_folders_stay_as_they_are_where_nginx_sends_the_bytes(tmp_path: Path) -> None:
    """They may have been opened to it on purpose. What else is in them is nobody's business still."""
    data = tmp_path / "data"
    with running(data):
        pass
    folders = (".", "blobs", "blobs/sha256", "blobs/incoming")
    files = [path.name for path in data.iterdir() if path.is_file()]
    for name in (*folders, *files):
        (data / name).chmod(0o711 if name in folders else 0o644)
    prepare(settings(data, x_accel_redirect="/blobs/"))
    assert modes(data, *folders) == ["0711"] * 4
    assert set(modes(data, *files)) == {"0600"}
    prepare(settings(data))
    assert modes(data, *folders) == ["0700"] * 4


def test_a_data_folder_that_is_used_for_more_stays_as_it_is(tmp_path: Path) -> None:
    data = tmp_path / "home"
    (data / "music").mkdir(parents=True)
    data.chmod(0o755)
    prepare(settings(data))
    assert modes(data, ".", "root-token") == ["0755", "0600"]
    if not ON_POSTGRESQL:
        assert modes(data, "modelyard.db") == ["0600"]


def test_a_disk_s_own_folder_is_no_other_use(tmp_path: Path) -> None:
    data = tmp_path / "volume"
    (data / "lost+found").mkdir(parents=True)
    (data / "files").mkdir()
    (data / "notes").touch()
    data.chmod(0o755)
    prepare(settings(data, blob_url=f"file://{data}/files"))
    assert modes(data, ".", "files") == ["0700", "0700"]


def test_blobs_elsewhere_are_closed_but_not_the_folder_that_somebody_has_made_for_them(tmp_path: Path) -> None:
    share, data = tmp_path / "share", tmp_path / "data"
    for each in (share, share / "sha256", share / "incoming"):
        each.mkdir(mode=0o755)
    prepare(settings(data, blob_url=f"file://{share}"))
    assert modes(share, ".", "sha256", "incoming") == ["0755", "0700", "0700"]


@pytest.mark.once
def test_what_cannot_be_looked_at_or_is_everybody_s_is_left_alone(tmp_path: Path) -> None:
    tighten(tmp_path / "nowhere")
    everybody = tmp_path / "tmp"
    everybody.mkdir()
    everybody.chmod(0o1777)
    tighten(everybody)
    assert modes(tmp_path, "tmp") == ["1777"]


@pytest.mark.once
def test_a_folder_of_somebody_else_is_no_reason_not_to_start() -> None:
    """Such as a volume that Kubernetes gives to a group: whoever may not change its mode goes on."""
    with service_folder() as folder:
        (folder / "data").chmod(0o2777)
        os.chown(folder / "data", 0, 0)
        url = {"DATABASE_URL": f"sqlite:///{folder}/data/modelyard.db"}
        done = as_service(folder, "migrate", **url)
        assert done.returncode == 0, done.stderr
        assert modes(folder, "data", "data/modelyard.db", "data/root-token") == ["2777", "0600", "0600"]
        give(folder)
        assert as_service(folder, "migrate", **url).returncode == 0
        assert modes(folder, "data") == ["2700"]


@pytest.mark.sqlite
def test_what_root_shares_with_the_group_of_a_service_stays_open_to_it() -> None:
    with service_folder() as folder:
        data = folder / "data"
        assert run(folder, "migrate").returncode == 0
        for each in (data, data / "modelyard.db"):
            os.chown(each, 0, NOBODY.pw_gid)
            each.chmod(0o2775 if each.is_dir() else 0o664)
        assert run(folder, "migrate").returncode == 0
        assert modes(folder, "data", "data/modelyard.db") == ["2770", "0660"]
        assert as_service(folder, "check").returncode == 0


@pytest.mark.once
def test_a_data_folder_that_cannot_be_listed_stays_as_it_is() -> None:
    with service_folder() as folder:
        url = {"DATABASE_URL": f"sqlite:///{folder}/data/modelyard.db"}
        assert as_service(folder, "migrate", **url).returncode == 0
        (folder / "data").chmod(0o311)
        done = as_service(folder, "migrate", **url)
        assert (done.returncode, done.stderr) == (0, "")
        assert modes(folder, "data") == ["0311"]
