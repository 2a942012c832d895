"""The commands, as processes."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from modelyard.cli.amounts import BYTES
from modelyard.cli.entry import COMMANDS, SUMMARIES, cli
from tests import postgres
from tests.commands import COMMAND, environment_of, run
from tests.databases import ON_POSTGRESQL, execute
from tests.live import running
from tests.tokens import is_well_formed


def test_migrating_makes_the_administrator_and_a_token_that_only_they_can_read(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    token = tmp_path / "data" / "root-token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert is_well_formed(token.read_text().strip())
    before = token.read_text()
    assert run(tmp_path, "migrate").returncode == 0
    assert token.read_text() == before


def test_a_database_of_a_newer_program_is_named_in_one_line(folder: Path) -> None:
    execute(folder / "data", "UPDATE alembic_version SET version_num = '9999'")
    for command in (["serve", "--port", "0"], ["migrate"], ["check"]):
        done = run(folder, *command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("modelyard: the database is at revision 9999, this version of modelyard knows ")
        assert done.stderr.count("\n") == 1


def test_a_token_that_is_given_is_not_written_down(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate", ROOT_TOKEN="given-by-the-administrator").returncode == 0
    assert not (tmp_path / "data" / "root-token").exists()


@pytest.mark.once
def test_help_tells_of_each_command_what_it_says_itself_and_imports_none() -> None:
    assert {name: cli.commands[name].get_short_help_str(limit=1000) for name in COMMANDS} == SUMMARIES
    program = "import atexit, sys; from modelyard.cli import main; sys.argv = ['modelyard', '--help']\n"
    program += "atexit.register(lambda: print(sorted(name for name in sys.modules if 'modelyard.' in name))); main()"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  ([a-z][a-z-]*)  ", told, re.MULTILINE) == sorted(COMMANDS)
    assert told.endswith("['modelyard.cli', 'modelyard.cli.entry']\n")


@pytest.mark.once
@pytest.mark.parametrize("name", {place.partition(":")[0]: name for name, place in COMMANDS.items()}.values())
def test_a_module_of_commands_imports_what_it_needs(tmp_path: Path, name: str) -> None:
    """Which is not told by the other tests: their processes have imported all commands, and so it is here alone that
    coverage sees them imported.
    """
    done = subprocess.run(
        [COMMAND, name, "--help"],
        cwd=tmp_path,
        env=environment_of(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: modelyard {name} ")


def test_users_projects_and_tokens_are_made_and_printed_alone(folder: Path) -> None:
    assert run(folder, "user", "create", "ada", "--admin").stdout == "2\n"
    assert run(folder, "project", "create", "ada/models", "--visibility", "public").stdout == "1\n"
    assert run(folder, "project", "create", "team/sub/models").stdout == "2\n"
    made = run(
        folder,
        "token",
        "create",
        "--user",
        "ada",
        "--name",
        "n",
        "--scopes",
        "api,read_api",
        "--expires-at",
        "2099-01-01",
    )
    assert is_well_formed(made.stdout.removesuffix("\n"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["user", "create", "root"], "Username has already been taken"),
        (["user", "create", "-"], "username"),
        (["project", "create", ".x/y"], "namespace_path"),
        (["token", "create", "--user", "nobody", "--name", "n"], "404 User Not Found"),
        (
            ["token", "create", "--user", "root", "--name", "n", "--scopes", "sudo"],
            "scopes does not have a valid value",
        ),
    ],
)
def test_a_mistake_is_one_line_on_standard_error(folder: Path, arguments: list[str], sentence: str) -> None:
    done = run(folder, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("modelyard: ")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["project", "create", "nameless"], "a project is named NAMESPACE/NAME"),
        (["token", "create", "--name", "n"], "Missing option '--user'"),
        (["serve", "--port", "x"], "'x' is not a valid integer"),
        (["nothing"], "No such command 'nothing'"),
    ],
)
def test_wrong_usage_is_one_line_too(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["migrate", "check"])
def test_a_database_that_is_away_is_one_line_too(tmp_path: Path, command: str) -> None:
    url = f"postgresql+psycopg://modelyard@/modelyard?host={tmp_path}"
    done = run(tmp_path, command, DATABASE_URL=url)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("modelyard: database: connection is bad")


def test_every_command_works_on_postgresql(tmp_path: Path) -> None:
    url = postgres.cluster().fresh(migrated=False)
    assert "not migrated" in run(tmp_path, "check", DATABASE_URL=url).stderr
    for command in (["migrate"], ["user", "create", "ada"], ["project", "create", "ada/p"], ["check"], ["gc"]):
        done = run(tmp_path, *command, DATABASE_URL=url)
        assert done.returncode == 0
        assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == (
            ["schema migrated"] if command == ["migrate"] else []
        )


def test_fields_that_are_wrong_are_named(folder: Path) -> None:
    done = run(folder, "token", "create", "--user", "root", "--name", "n", "--expires-at", "2020-01-01")
    assert (done.returncode, done.stderr) == (1, "modelyard: expires_at must be in the future\n")


def test_an_address_that_is_taken_is_one_line_before_anything_is_announced(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(tmp_path, "serve", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"modelyard: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    done = run(tmp_path, "serve", HOST="192.0.2.1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(
    ("source", "target", "status"), [("nowhere", "target", 1), ("same", "same/", 2)], ids=["absent", "same"]
)
def test_blobs_are_not_copied_from_where_none_are(tmp_path: Path, source: str, target: str, status: int) -> None:
    done = run(tmp_path, "copy-blobs", f"file://{tmp_path}/{source}", f"file://{tmp_path}/{target}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["what?", "p%41q", "a b", "h#sh"])
def test_a_data_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    assert run(tmp_path, "migrate", DATA_DIR=name).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "modelyard.db").exists() is not ON_POSTGRESQL
    assert run(tmp_path, "check", DATA_DIR=name).returncode == 0


@pytest.mark.parametrize("where", [".env", "secret"])
def test_settings_that_are_no_text_are_one_line(tmp_path: Path, where: str) -> None:
    (tmp_path / where).write_bytes(b"\xff\xfe\n")
    done = run(tmp_path, "migrate", **({"ROOT_TOKEN_FILE": "secret"} if where == "secret" else {}))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert where in done.stderr


def test_bad_settings_stop_every_command_with_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", PORT="many")
    assert done.returncode == 2
    assert done.stderr == (
        "modelyard: MODELYARD_PORT: input should be a valid integer, unable to parse string as an integer\n"
    )


def test_a_database_that_is_not_migrated_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    done = run(tmp_path, "check")
    assert done.returncode == 1
    assert "modelyard migrate" in done.stderr


@pytest.mark.sqlite
def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "check", DATA_DIR=str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_check_and_gc_list_what_they_find(folder: Path) -> None:
    assert run(folder, "check").stdout == ""
    assert json.loads(run(folder, "check", "--read", "--json").stdout) == []
    blob = folder / "data" / "blobs" / "sha256" / "ab" / "ab" / ("ab" * 32)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x")
    listed = json.loads(run(folder, "gc", "--dry-run", "--json", GC_GRACE="0").stdout)
    assert listed == [{"kind": "blob", "name": "ab" * 32, "size": 1}]
    assert run(folder, "gc").stdout == ""
    assert run(folder, "gc", GC_GRACE="0").stdout == f"blob\t{'ab' * 32}\t1 bytes\n"
    assert not blob.exists()


def runs(folder: Path) -> dict[str, tuple[int, int, bool]]:
    """What the runs of upkeep have left: findings, bytes, and whether they came to the end."""
    rows = execute(folder / "data", "SELECT task, found, size, position = '' FROM upkeep_runs")
    return {task: (found, size, bool(complete)) for task, found, size, complete in rows}


def test_a_scrub_reports_by_exit_code_log_and_metric(folder: Path) -> None:
    blob = stored_blob(folder)
    options = ("check", "--read", "--max-rate", "50M", "--max-time", "1h")
    done = run(folder, *options, LOG_FORMAT="json")
    assert (done.returncode, done.stdout) == (0, "")
    line = json.loads(done.stderr)
    assert (line["event"], line["faults"], line["bytes"], line["complete"]) == ("scrub finished", 0, 1, True)
    assert runs(folder) == {"scrub": (0, 1, True)}
    blob.write_bytes(b"y")
    done = run(folder, *options, LOG_FORMAT="json")
    assert (done.returncode, done.stdout) == (1, f"digest\t{blob.name}\t1 file(s)\n")
    fault, end = map(json.loads, done.stderr.splitlines())
    assert (fault["event"], fault["level"], fault["sha256"]) == ("blob damaged", "error", blob.name)
    assert (end["event"], end["faults"]) == ("scrub finished", 1)
    assert runs(folder) == {"scrub": (1, 1, True)}
    with running(folder / "data") as live:
        assert 'modelyard_upkeep_last_found{task="scrub"} 1.0' in httpx2.get(f"{live.url}/metrics").text


def test_check_and_gc_leave_their_results_and_a_dry_run_none(folder: Path) -> None:
    run(folder, "gc", "--dry-run")
    assert runs(folder) == {}
    run(folder, "check")
    blob = folder / "data" / "blobs" / "sha256" / "ab" / "ab" / ("ab" * 32)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"12345")
    run(folder, "gc", GC_GRACE="0")
    assert runs(folder) == {"check": (0, 0, True), "gc": (1, 5, True)}


def test_gc_forgets_old_events_of_the_audit_trail(folder: Path) -> None:
    execute(folder / "data", "UPDATE audit_events SET created_at = created_at - 2678400000 WHERE id = 1")
    assert "audit events forgotten" not in run(folder, "gc", AUDIT_DAYS="0").stderr
    done = run(folder, "gc", "--dry-run", AUDIT_DAYS="30")
    assert "audit events forgotten" not in done.stderr
    done = run(folder, "gc", AUDIT_DAYS="30", LOG_FORMAT="json")
    assert json.loads(done.stderr)["count"] == 1
    assert run(folder, "gc", AUDIT_DAYS="30").stderr == ""


def test_gc_forgets_tokens_of_jobs_that_have_ended(folder: Path) -> None:
    execute(
        folder / "data",
        "INSERT INTO tokens (user_id, kind, name, description, digest, scopes, created_at, expires_at)"
        " VALUES (1, 'job', 'job', '', 'x', 'api', 0, 3600000)",
    )
    assert run(folder, "gc", "--dry-run").stderr == ""
    told = json.loads(run(folder, "gc", LOG_FORMAT="json").stderr)
    assert (told["event"], told["count"]) == ("ended tokens forgotten", 1)
    assert run(folder, "gc").stderr == ""


@pytest.mark.parametrize(
    "options",
    [
        ["--max-rate", "1M"],
        ["--max-time", "1h"],
        ["--read", "--max-rate", "fast"],
        ["--read", "--max-rate", "0"],
        ["--read", "--max-rate", "-1"],
        ["--read", "--max-rate", "0.1"],
        ["--read", "--max-time", "5w"],
    ],
    ids="-".join,
)
def test_a_pace_that_is_none_is_one_line(folder: Path, options: list[str]) -> None:
    done = run(folder, "check", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(("text", "amount"), [("1", 1), ("50M", 50 * 1024**2), ("1.5k", 1536), ("2G", 2 * 1024**3)])
def test_amounts_have_suffixes(text: str, amount: int) -> None:
    assert BYTES.convert(text, None, None) == amount


def stored_blob(folder: Path) -> Path:
    """The blob of a file with the content `x` that was uploaded."""
    with running(folder / "data") as live, live.client(live.root_token) as root:
        project = root.post("/projects", json={"name": "p"}).json()["id"]
        root.post(f"/projects/{project}/ml/mlflow/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
        root.put(f"/projects/{project}/packages/ml_models/candidate:1/files/f", content=b"x")
    (blob,) = (folder / "data" / "blobs" / "sha256").glob("*/*/*")
    return blob


def test_a_missing_blob_fails_the_check(folder: Path) -> None:
    blob = stored_blob(folder)
    blob.unlink()
    done = run(folder, "check")
    assert (done.returncode, done.stdout) == (1, f"missing\t{blob.name}\t1 file(s)\n")


def test_a_project_s_bytes_that_are_miscounted_fail_the_check(folder: Path) -> None:
    run(folder, "project", "create", "ada/p")
    execute(folder / "data", "INSERT INTO project_storage (project_id, slot, size) VALUES (1, 0, 7)")
    done = run(folder, "check")
    assert (done.returncode, done.stdout) == (1, "storage\tada/p\t7 bytes counted, 0 bytes there\n")
    listed = json.loads(run(folder, "check", "--json").stdout)
    assert listed == [{"fault": "storage", "project": "ada/p", "counted": 7, "actual": 0}]


def test_help_and_version_need_no_settings(tmp_path: Path) -> None:
    assert "serve" in run(tmp_path, "--help").stdout
    assert run(tmp_path, "--version").stdout.startswith("modelyard")
