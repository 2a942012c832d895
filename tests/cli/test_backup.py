"""`backup` and `restore` as processes, and PostgreSQL's programs that they need."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests import postgres
from tests.commands import run
from tests.databases import ON_POSTGRESQL
from tests.live import running


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry in `data` that has two files of one content, and a third."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "mine").mkdir()
    (folder / "mine" / "notes").touch()
    with running(folder / "data") as live, live.client(live.root_token) as root:
        project = root.post("/projects", json={"name": "p"}).json()["id"]
        root.post(f"/projects/{project}/ml/mlflow/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
        for name, content in (("a", b"one"), ("b", b"one"), ("c", b"another")):
            url = f"/projects/{project}/packages/ml_models/candidate:1/files/{name}"
            assert root.put(url, content=content).status_code == 201
    return folder


@pytest.fixture(scope="module")
def on_postgresql() -> str:
    """The URL of a migrated database."""
    return postgres.cluster().fresh()


def program(folder: Path, name: str, script: str) -> str:
    """A PATH with one program."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return str(folder)


def test_a_backup_says_what_it_has_done(original: Path, tmp_path: Path) -> None:
    first = run(original, "backup", str(tmp_path / "backup"))
    assert (first.returncode, first.stderr) == (0, "")
    _time, *said = first.stdout.rstrip("\n").split("\t")
    assert said == ["2 blobs", "10 bytes", "2 linked", "0 copied", "0 present", "0 removed"]
    second = json.loads(run(original, "backup", str(tmp_path / "backup"), "--json").stdout)
    assert (second["linked"], second["present"], second["faults"]) == (0, 2, [])
    assert second["manifest"] == json.loads((tmp_path / "backup" / "manifest.json").read_text())
    restored = run(tmp_path, "restore", "backup")
    assert (restored.returncode, restored.stdout.split("\t")[3]) == (0, "2 linked")
    assert run(tmp_path, "check", "--read").stdout == ""
    again = run(tmp_path, "restore", "backup")
    reason = "the database is not empty" if ON_POSTGRESQL else f"{tmp_path}/data/modelyard.db exists already"
    assert (again.returncode, again.stderr) == (1, f"modelyard: {reason}\n")


def test_a_blob_that_is_lost_is_listed_and_exit_status_1(original: Path, tmp_path: Path) -> None:
    run(original, "backup", str(tmp_path / "backup"))
    blob = next(path for path in (tmp_path / "backup" / "blobs").rglob("*") if path.is_file())
    size = blob.stat().st_size
    blob.unlink()
    restored = run(tmp_path, "restore", "backup")
    assert restored.returncode == 1
    assert restored.stdout.splitlines()[1:] == [f"missing\t{blob.name}\t{size} bytes"]
    assert run(tmp_path, "check").stdout.startswith(f"missing\t{blob.name}\t")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("backup", "mine"), "modelyard: mine is no backup: it holds notes\n"),
        (("restore", "nowhere"), "modelyard: nowhere is no complete backup: there is no manifest.json\n"),
    ],
)
def test_a_refusal_is_one_line(original: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = run(original, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)


@pytest.mark.sqlite
def test_a_database_that_is_damaged_does_not_replace_a_backup(original: Path, tmp_path: Path) -> None:
    run(original, "backup", str(tmp_path / "backup"))
    run(tmp_path, "restore", "backup")
    manifest = (tmp_path / "backup" / "manifest.json").read_bytes()
    database = tmp_path / "data" / "modelyard.db"
    with closing(sqlite3.connect(database)) as connection:
        names = "'package_files', 'audit_events', 'candidates'"
        roots = connection.execute(f"SELECT rootpage FROM sqlite_master WHERE name IN ({names})").fetchall()
    with database.open("r+b") as file:
        for (page,) in roots:
            file.seek(4096 * (page - 1))
            file.write(bytes(4096))
    done = run(tmp_path, "backup", "backup")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "the database is damaged" in done.stderr
    assert (tmp_path / "backup" / "manifest.json").read_bytes() == manifest


def test_programs_of_postgresql_that_are_missing_are_named(
    on_postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, "backup", "backup", DATABASE_URL=on_postgresql).returncode == 0
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, arguments in (("pg_dump", ("backup", "other")), ("pg_restore", ("restore", "backup"))):
        empty = on_postgresql if name == "pg_dump" else postgres.cluster().fresh(migrated=False)
        done = run(tmp_path, *arguments, DATABASE_URL=empty)
        assert (done.returncode, done.stderr) == (
            1,
            f"modelyard: {name} is not installed; it comes with PostgreSQL's client programs\n",
        )


def test_a_pg_dump_that_is_older_than_the_server_is_refused(
    on_postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(tmp_path / "bin", "pg_dump", 'echo "pg_dump (PostgreSQL) 9.6.24"')
    monkeypatch.setenv("PATH", path)
    done = run(tmp_path, "backup", "backup", DATABASE_URL=on_postgresql)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("modelyard: pg_dump is of PostgreSQL 9, and the server of 1")


def test_the_error_of_a_program_is_the_line_that_is_printed(
    on_postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, "backup", "backup", DATABASE_URL=on_postgresql).returncode == 0
    sentence = "pg_restore: error: unsupported version (1.99) in file header"
    path = program(tmp_path / "bin", "pg_restore", f'echo "{sentence}" >&2; echo "more" >&2; exit 1')
    monkeypatch.setenv("PATH", path)
    done = run(tmp_path, "restore", "backup", DATABASE_URL=postgres.cluster().fresh(migrated=False))
    assert (done.returncode, done.stderr) == (1, f"modelyard: {sentence}\n")
    program(tmp_path / "bin", "pg_restore", "exit 7")
    done = run(tmp_path, "restore", "backup", DATABASE_URL=postgres.cluster().fresh(migrated=False))
    assert (done.returncode, done.stderr) == (1, "modelyard: pg_restore: error: status 7\n")


def test_a_password_is_on_no_command_line(on_postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    script = f'case "$1" in --version) echo "(PostgreSQL) 99";; *) echo "$@ $PGPASSWORD" > {seen}; exit 1;; esac'
    monkeypatch.setenv("PATH", program(tmp_path / "bin", "pg_dump", script) + ":/bin")
    run(tmp_path, "backup", "backup", DATABASE_URL=on_postgresql.replace("postgres@", "postgres:se%20cret@"))
    arguments, _, password = seen.read_text().strip().rpartition("se cret")
    assert password == ""
    assert "host=" in arguments
    assert "cret" not in arguments


def test_a_start_of_the_server_does_not_wait_for_what_only_these_commands_need() -> None:
    loaded = "import sys, modelyard.cli; print({'alembic', 'modelyard.services.backup.taking'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
