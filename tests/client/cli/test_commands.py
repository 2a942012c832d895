"""The commands, as people and scripts use them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard_client import Registry
from modelyard_client.credentials import Credentials
from tests.client.conftest import Done, Myd
from tests.client.meddler import Meddling, Request, answer, meddling
from tests.conftest import Account
from tests.live import LiveServer

COMMAND = Path(sys.executable).with_name("myd")


def test_a_token_from_standard_input_is_tried_and_kept(myd: Myd, server: LiveServer, account: Account) -> None:
    done = myd("login", server.url, stdin=f"{account.token}\n")
    assert (done.status, done.out) == (0, "")
    assert account.token not in done.err
    assert account.username in myd("whoami").out
    assert (
        myd("whoami", "--json").out
        == json.dumps({"host": server.url, "username": account.username, "name": account.username, "id": account.id})
        + "\n"
    )
    assert myd("logout", server.url).status == 0
    assert myd("logout", server.url).status == 4
    assert myd("whoami").status == 2


def test_a_token_that_is_not_valid_is_not_kept(myd: Myd, server: LiveServer) -> None:
    done = myd("login", server.url, stdin="nonsense\n")
    assert (done.status, done.out) == (3, "")
    assert "401" in done.err
    assert not Credentials().path.exists()
    assert myd("login", server.url, stdin="").status == 3


@pytest.mark.usefixtures("signed_in")
def test_what_is_pushed_is_listed_shown_pulled_and_verified(myd: Myd, target: str, tmp_path: Path) -> None:
    (tmp_path / "m" / "sub").mkdir(parents=True)
    (tmp_path / "m" / "a.bin").write_bytes(b"one")
    (tmp_path / "m" / "sub" / "b.bin").write_bytes(b"")
    pushed = myd("push", tmp_path / "m", target)
    assert (pushed.status, pushed.out) == (0, "")
    assert "2 files sent" in pushed.err
    listed = myd("ls", target)
    one = hashlib.sha256(b"one").hexdigest()
    assert listed.out.splitlines()[0] == f"{one}  3  a.bin"
    assert json.loads(myd("ls", target, "--json").out)["files"][0] == {"path": "a.bin", "size": 3, "sha256": one}
    assert myd("cat", target, "a.bin") == Done(0, "one", "")
    pulled = myd("pull", target, "-o", tmp_path / "out", "--json")
    told = json.loads(pulled.out)
    assert {file["path"]: file["outcome"] for file in told["files"]} == {"a.bin": "received", "sub/b.bin": "received"}
    assert (tmp_path / "out" / "a.bin").read_bytes() == b"one"
    assert (tmp_path / "out" / "sub" / "b.bin").read_bytes() == b""
    assert sorted(os.listdir(tmp_path / "out")) == ["a.bin", "sub"]
    assert myd("verify", target, "-o", tmp_path / "out").status == 0


@pytest.mark.usefixtures("signed_in")
def test_verify_tells_what_is_missing_different_and_here_alone(myd: Myd, target: str, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    myd("push", tmp_path / "a", tmp_path / "b", tmp_path / "c", target)
    out = tmp_path / "out"
    myd("pull", target, "-o", out)
    (out / "a").unlink()
    (out / "b").write_text("x")
    (out / "d").write_text("d")
    done = myd("verify", target, "-o", out, "--json")
    assert done.status == 5
    told = json.loads(done.out)
    assert told == {"target": target, "ok": ["c"], "missing": ["a"], "different": ["b"], "extra": ["d"]}
    assert json.loads(done.err)["error"]["code"] == "mismatch"
    assert myd("verify", target, "--exclude", "a", "--exclude", "b", "-o", out).status == 0


@pytest.mark.usefixtures("signed_in")
def test_files_and_versions_are_removed(
    myd: Myd, target: str, tmp_path: Path, account: Account, project: dict[str, Any], version: int
) -> None:
    (tmp_path / "a").write_text("1")
    myd("push", tmp_path / "a", target)
    (tmp_path / "a").write_text("22")
    myd("push", tmp_path / "a", target)
    assert myd("rm", target, "a").status == 2  # nobody is there to be asked
    assert myd("rm", target, "--yes").status == 2
    assert myd("rm", target, "b", "--yes").status == 4
    assert (
        myd("rm", target, "a", "--yes", "--json").out
        == json.dumps({"target": target, "removed": ["a"], "whole_version": False}) + "\n"
    )
    files = f"/projects/{project['id']}/packages/ml_models/{version}/files/a"
    assert account.client.get(files).status_code == 404
    assert myd("rm", target.partition("@")[0], "--whole-version", "--yes").status == 2
    assert myd("rm", target, "--whole-version", "--yes").status == 0
    assert myd("ls", target).status == 4


@pytest.mark.usefixtures("signed_in")
def test_create_makes_project_model_and_version_and_without_it_they_are_missing(
    myd: Myd, account: Account, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("a")
    target = f"{account.username}/fresh/net@2.1.0"
    missing = myd("push", tmp_path / "a", target)
    assert missing.status == 4
    assert missing.err.endswith(": --create makes project, model and version\n")
    assert "--create" not in myd("push", tmp_path / "a", f"{account.username}/fresh@candidate:1").err
    assert myd("push", tmp_path / "a", target, "--create", "--dry-run").status == 0
    assert account.client.get(f"/projects/{account.username}%2Ffresh").status_code == 404
    assert myd("push", tmp_path / "a", target, "--create").status == 0
    assert myd("push", tmp_path / "a", target, "--create").status == 0
    assert myd("push", tmp_path / "a", f"{account.username}/fresh/net@2.2.0", "--create").status == 0
    assert myd("push", tmp_path / "a", f"{account.username}/fresh/other", "--create").status == 0
    versions = myd("ls", f"{account.username}/fresh/net", "--versions").out.split()
    assert versions == ["2.2.0", "2.1.0"]
    assert "1.0.0" in myd("ls", f"{account.username}/fresh/other", "--versions").out
    assert myd("push", tmp_path / "a", f"{account.username}/fresh/net@nonsense", "--create").status == 1
    for more in ((), ("--dry-run",)):
        done = myd("push", tmp_path / "a", f"{account.username}/none/net@prod", "--create", *more)
        assert (done.status, "a semantic one" in done.err) == (1, True)
    assert account.client.get(f"/projects/{account.username}%2Fnone").status_code == 404


@pytest.mark.usefixtures("signed_in")
def test_a_version_is_named_by_its_number_its_id_an_alias_or_not_at_all(
    myd: Myd, target: str, account: Account, project: dict[str, Any], version: int, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("a")
    myd("push", tmp_path / "a", target)
    mlflow = f"/projects/{project['id']}/ml/mlflow/api/2.0/mlflow/registered-models/alias"
    account.client.post(mlflow, json={"name": "net", "alias": "best", "version": str(version)})
    model = target.partition("@")[0]
    for written in (model, f"{model}@1.0.0", f"{model}@{version}", f"{model}@best"):
        assert myd("ls", written).out.endswith("  a\n"), written
    for written in (f"{model}@2.0.0", f"{model}@worst", f"{model}x", f"{account.username}/none/net"):
        assert myd("ls", written).status == 4, written


@pytest.mark.usefixtures("signed_in")
def test_a_candidate_s_files_are_sent_and_brought_also_once_it_is_a_version(
    myd: Myd,
    make_run: Callable[..., dict[str, Any]],
    project: dict[str, Any],
    version: int,
    account: Account,
    tmp_path: Path,
) -> None:
    run = make_run(project["id"])
    target = f"{project['path_with_namespace']}@candidate:{run['iid']}"
    assert myd("ls", target).out == ""
    (tmp_path / "a").write_text("a")
    assert myd("push", tmp_path / "a", target, "--into", "d").status == 0
    assert myd("ls", f"{project['path_with_namespace']}/net@candidate:{run['iid']}").out.endswith("  d/a\n")
    base = f"/projects/{project['id']}/ml/mlflow/api/2.0/mlflow"
    account.client.post(f"{base}/model-versions/create", json={"name": "net", "run_id": run["run_id"]})
    assert version
    assert myd("ls", target).out.endswith("  d/a\n")
    assert myd("pull", target, "-o", tmp_path / "out").status == 0
    assert (tmp_path / "out" / "d" / "a").read_text() == "a"
    assert myd("ls", f"{project['path_with_namespace']}@candidate:999999").status == 4
    assert myd("push", tmp_path / "a", f"{project['path_with_namespace']}@candidate:999999", "--create").status == 4
    assert myd("rm", target, "--whole-version", "--yes").status == 2


@pytest.mark.usefixtures("signed_in")
def test_a_dry_run_changes_nothing(myd: Myd, target: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    done = myd("push", tmp_path / "a", target, "--dry-run")
    assert (done.out, myd("ls", target).out) == ("planned  a\n", "")
    myd("push", tmp_path / "a", target)
    assert "1 were there" in myd("push", tmp_path / "a", target, "-n").err
    assert myd("pull", target, "-n", "-o", tmp_path / "out").out == "planned  a\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("signed_in")
def test_include_and_exclude_count_in_their_order_in_both_directions(myd: Myd, target: str, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    for name in ("a.bin", "b.bin", "c.txt", "deep/d.bin"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    done = myd("push", folder, target, "--include", "*.bin", "--exclude=b*", "--json")
    assert [file["path"] for file in json.loads(done.out)["files"]] == ["a.bin", "deep/d.bin"]
    assert (
        json.loads(myd("push", folder, target, "--exclude=*", "--include=c.txt", "--json").out)["files"][0]["path"]
        == "c.txt"
    )
    done = myd("pull", target, "--exclude", "**/d.*", "-o", tmp_path / "out", "--json")
    assert [file["path"] for file in json.loads(done.out)["files"]] == ["a.bin", "c.txt"]
    done = myd("pull", target, "deep", "-o", tmp_path / "deep", "--json")
    assert [file["path"] for file in json.loads(done.out)["files"]] == ["deep/d.bin"]
    assert myd("push", folder, target, "--include", "nothing").status == 2
    assert myd("pull", target, "nothing").status == 4
    for command in ("pull", "verify"):
        done = myd(command, target, "--include", "*.nothing", "--json")
        assert done.status == 4
        assert json.loads(done.err)["error"]["message"] == "The patterns take none of 3 files"


@pytest.mark.usefixtures("signed_in")
def test_quiet_tells_of_mistakes_alone(myd: Myd, target: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    done = myd("push", tmp_path / "a", target, "-q")
    assert (done.status, done.out, done.err) == (0, "", "")
    done = myd("ls", f"{target}9", "-q")
    assert (done.status, done.out) == (4, "")
    assert done.err.startswith("myd: ")
    assert len(done.err.splitlines()) == 1


@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["ls", "nonsense"], 2, "usage"),
        (["ls"], 2, "usage"),
        (["ls", "a/b/c", "--frobnicate"], 2, "usage"),
        (["push", "nowhere", "a/b/c"], 4, "not_found"),
        (["ls", "a/b/c"], 4, "not_found"),
        (["ls", "a/b/c", "--host", "ftp://x"], 2, "usage"),
    ],
)
def test_a_mistake_has_an_exit_status_and_a_code(myd: Myd, arguments: list[str], status: int, code: str) -> None:
    plain = myd(*arguments)
    assert (plain.status, plain.out) == (status, "")
    assert re.fullmatch(r"myd: .+\n", plain.err)
    told = json.loads(myd(*arguments, "--json").err)["error"]
    assert (told["code"], told["exit_status"]) == (code, status)
    assert set(told) == {"code", "message", "exit_status"}


@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize("arguments", [["ls", "a/b/c"], ["pull", "a/b/c"]])
def test_a_server_that_does_not_answer_is_told_at_once_with_each_try_again(myd: Myd, arguments: list[str]) -> None:
    nobody = (*arguments, "--host", "http://127.0.0.1:1")
    done = myd(*nobody)
    assert (done.status, done.out) == (8, "")
    *tries, mistake = done.err.splitlines()
    told = re.compile(r"http://127\.0\.0\.1:1: .+ refused; trying again in 0\.0 s \((\d) of 5\)")
    numbers = [found[1] for line in tries if (found := told.fullmatch(line))]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == "1"
    assert len(numbers) == len(tries)
    assert re.fullmatch(r"myd: http://127\.0\.0\.1:1: .+ refused", mistake)

    *retries, error = map(json.loads, myd(*nobody, "--json").err.splitlines())
    assert (error["error"]["code"], error["error"]["exit_status"]) == ("unreachable", 8)
    assert set(error["error"]) == {"code", "message", "exit_status"}
    assert retries
    assert {tuple(each["retry"]) for each in retries} == {("message", "seconds", "attempt", "attempts")}

    quiet = myd(*nobody, "--quiet")
    assert (quiet.status, len(quiet.err.splitlines())) == (8, 1)


@pytest.mark.usefixtures("signed_in")
def test_what_a_single_file_fails_of_is_told_once_and_of_several_each(
    myd: Myd, target: str, tmp_path: Path, server: LiveServer
) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")

    def refuse(request: Request) -> Meddling | None:
        is_file = request.method == "PUT" and "authorize" not in request.path
        return answer("400 Bad", b'{"message": "no"}') if is_file else None

    with meddling(server.port, refuse) as bad:
        done = myd("push", tmp_path / "a", target, "--host", bad.url)
        assert (done.status, len(done.err.splitlines())) == (1, 1)
        done = myd("push", tmp_path / "a", tmp_path / "b", target, "--host", bad.url)
        assert (done.status, len(done.err.splitlines())) == (1, 3)


@pytest.mark.usefixtures("signed_in")
def test_a_file_that_is_not_there_is_named(myd: Myd, target: str) -> None:
    done = myd("cat", target, "gone.bin")
    assert (done.status, done.err) == (4, f"myd: {target} has no file 'gone.bin'\n")


@pytest.mark.usefixtures("signed_in")
def test_one_file_is_one(myd: Myd, target: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    assert "1 file sent" in myd("push", tmp_path / "a", target).err
    assert "1 file would be received" in myd("pull", target, "-n", "-o", tmp_path / "out").err
    assert myd("rm", target, "a", "--yes").err == f"Removed: 1 file of {target}\n"


def test_nobody_without_a_token_and_nobody_whose_role_is_too_low_may_push(
    myd: Myd,
    server: LiveServer,
    target: str,
    project: dict[str, Any],
    account: Account,
    make_user: Callable[..., Account],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "a").write_text("a")
    monkeypatch.setenv("MODELYARD_URL", server.url)
    assert myd("whoami").status == 3
    guest = make_user()
    body = {"user_id": guest.id, "access_level": 20}
    assert account.client.post(f"/projects/{project['id']}/members", json=body).status_code == 201
    monkeypatch.setenv("MODELYARD_TOKEN", guest.token)
    done = myd("push", tmp_path / "a", target, "--json")
    assert done.status == 3
    assert json.loads(done.err)["error"]["code"] == "forbidden"
    monkeypatch.setenv("MODELYARD_TOKEN", "nonsense")
    assert myd("push", tmp_path / "a", target).status == 3


@pytest.mark.usefixtures("signed_in")
def test_some_files_that_arrive_and_some_that_do_not_have_a_status_of_their_own(
    myd: Myd, target: str, server: LiveServer, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    with meddling(
        server.port, lambda request: answer("400 Bad", b'{"message": "no"}') if "/b" in request.path else None
    ) as bad:
        done = myd("push", tmp_path / "a", tmp_path / "b", target, "--json", "--host", bad.url)
    assert done.status == 7
    told = json.loads(done.out)
    assert [file["path"] for file in told["files"]] == ["a"]
    assert [(file["path"], file["code"]) for file in told["failed"]] == [("b", "refused")]
    assert '"partly"' in done.err


def test_help_names_every_command_without_importing_what_they_need() -> None:
    script = (
        "import sys\nbefore = set(sys.modules)\nsys.argv = ['myd', '--help']\n"
        "from modelyard_client.cli.main import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'urllib3', 'ssl', 'sqlite3', 'platformdirs', 'modelyard', 'rich'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    for name in ("login", "whoami", "push", "pull", "ls", "rm", "verify", "cat"):
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options_without_a_request(shell: str) -> None:
    words = {"bash": ("myd pu", "1"), "zsh": ("myd pu", "1"), "fish": ("myd pu", "pu")}[shell]
    environment = os.environ | {"_MYD_COMPLETE": f"{shell}_complete", "COMP_WORDS": words[0], "COMP_CWORD": words[1]}
    environment["MODELYARD_URL"] = "http://127.0.0.1:1"
    done = subprocess.run([COMMAND], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "push" in done.stdout
    assert "pull" in done.stdout


def test_the_python_api_prints_nothing(
    registry: Registry, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_text("a")
    registry.push([tmp_path / "a"], target)
    registry.pull(target, tmp_path / "out")
    assert registry.verify(target, tmp_path / "out").ok == ["a"]
    assert b"".join(registry.read(target, "a")) == b"a"
    assert registry.remove(target, ["a"]) == ["a"]
    assert registry.files(target) == []
    assert [version.version for version in registry.versions(target.partition("@")[0])] == ["1.0.0"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", [("login",), ("cache", "verify"), ("cache", "prune")])
def test_what_asks_no_server_but_its_argument_s_takes_no_other(command: tuple[str, ...]) -> None:
    done = subprocess.run([COMMAND, *command, "--help"], capture_output=True, text=True, check=True)
    assert "--json" in done.stdout
    assert "--host" not in done.stdout


def test_a_token_is_never_an_argument() -> None:
    done = subprocess.run([COMMAND, "login", "--help"], capture_output=True, text=True, check=True)
    assert "--token" not in done.stdout  # which others on the machine could read


@pytest.mark.usefixtures("signed_in")
def test_after_two_dashes_all_are_names(myd: Myd, target: str) -> None:
    assert myd("pull", target, "--", "--include").err == "myd: There is no file '--include'\n"
