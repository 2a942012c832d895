"""How the command ends where something else than its work goes wrong, and what it asks people."""

from __future__ import annotations

import gc
import json
import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import click
import pytest

import modelyard_client
from modelyard_client.cli import entry as entry_point
from modelyard_client.cli import main as entry
from modelyard_client.cli.common import Output
from modelyard_client.errors import Interrupted
from modelyard_client.registry import Registry
from tests.client.conftest import Myd
from tests.conftest import Account
from tests.live import LiveServer

COMMAND = Path(sys.executable).with_name("myd")


class Terminal:
    """Standard input that is a terminal's."""

    def isatty(self) -> bool:
        return True


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["myd", *arguments])
    monkeypatch.setattr(sys, "stdin", Terminal())
    try:
        entry.run()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_version_is_the_package_s(myd: Myd) -> None:
    assert myd("--version").out.startswith("myd, version ")


@pytest.mark.usefixtures("signed_in")
def test_what_was_not_installed_as_a_package_has_no_version(myd: Myd, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", unknown)
    assert (myd("--version").status, myd("--version").out) == (0, "")


@pytest.mark.parametrize(("heard", "status", "told"), [(True, 130, ""), (False, 0, "imported\n")])
def test_ctrl_c_while_the_command_is_imported_ends_it_without_a_word(
    tmp_path: Path, heard: bool, status: int, told: str
) -> None:
    imported = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint('imported')\nraise SystemExit(0)\n"
    (tmp_path / "click.py").write_text(imported)
    done = subprocess.run(
        [sys.executable, "-c", "from modelyard_client.cli.entry import main\nmain()"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=None if heard else ignore_interrupts,
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, told, "")
    assert Interrupted.exit_status == entry_point.INTERRUPTED


def ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_garbage_is_looked_for_once_a_command_works(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def working() -> None:
        seen.append(gc.isenabled())
        Output(as_json=False, quiet=True, host="http://127.0.0.1:1").registry()
        seen.append(gc.isenabled())

    monkeypatch.setattr(entry, "run", working)
    monkeypatch.setattr(entry, "insist", lambda: None)  # which would end this process
    try:
        entry.main()
    finally:
        gc.unfreeze()
        gc.enable()
    assert seen == [False, True]


@pytest.mark.parametrize("arguments", [[], ["cache"]])
def test_a_command_of_commands_without_one_shows_help(myd: Myd, arguments: list[str]) -> None:
    done = myd(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Usage: myd")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is full")
def test_standard_output_without_room_is_no_room(server: LiveServer, account: Account, target: str) -> None:
    environment = os.environ | {"MODELYARD_URL": server.url, "MODELYARD_TOKEN": account.token}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [COMMAND, "ls", target, "--json"], env=environment, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 6
    assert json.loads(done.stderr)["error"]["message"] == "Standard output: No space left on device"


def test_an_error_that_nobody_thought_of_is_one_line_too(myd: Myd, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_registry: Registry) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(Registry, "user", broken)
    monkeypatch.setenv("MODELYARD_URL", "http://127.0.0.1:1")
    done = myd("whoami")
    assert (done.status, done.out) == (1, "")
    assert done.err == "myd: ZeroDivisionError: by nothing (MODELYARD_DEBUG=1 shows where)\n"
    monkeypatch.setenv("MODELYARD_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        myd("whoami")


@pytest.mark.usefixtures("signed_in")
def test_ctrl_c_anywhere_ends_with_130(myd: Myd, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_registry: Registry) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Registry, "user", interrupted)
    done = myd("whoami")
    assert (done.status, done.out, done.err) == (130, "", "myd: Interrupted\n")
    told = json.loads(myd("whoami", "--json").err)["error"]
    assert (told["code"], told["exit_status"]) == ("interrupted", 130)


def test_ctrl_c_ends_it_while_the_c_library_looks_for_an_address() -> None:
    script = (
        "import ctypes, socket, sys\n"
        "def never(*arguments, **named):\n"
        "    print('looking', flush=True)\n"
        "    library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(256)\n"
        "    library.pthread_mutex_lock(mutex), library.pthread_mutex_lock(mutex)\n"
        "socket.getaddrinfo = never\n"
        "sys.argv = ['myd', 'whoami', '--host', 'http://registry.example']\n"
        "from modelyard_client.cli.main import main\nmain()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"looking\n"
        running.send_signal(signal.SIGINT)
        try:
            assert running.wait(60) == 130
        finally:
            running.kill()


def test_whoever_reads_no_further_gets_no_complaint(server: LiveServer, account: Account, home: Path) -> None:
    environment = os.environ | {"MODELYARD_URL": server.url, "MODELYARD_TOKEN": account.token, "HOME": str(home)}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [COMMAND, "whoami"], env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.usefixtures("signed_in")
def test_a_pattern_that_windows_shells_leave_as_it_is_stays_so(
    myd: Myd, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Windows:
        name = "nt"

        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

    monkeypatch.setattr(click.core, "os", Windows())
    monkeypatch.chdir(tmp_path)
    for name in ("a.bin", "b.txt"):
        Path(name).write_text(name)
    assert (
        json.loads(myd("push", ".", target, "--include", "*.bin", "--dry-run", "--json").out)["files"][0]["path"]
        == "a.bin"
    )
    assert myd("push", "*.bin", target).err == "myd: *.bin is not there\n"


def test_what_is_kept_lies_where_xdg_says_and_is_its_user_s_alone(
    myd: Myd, server: LiveServer, account: Account, target: str, tmp_path: Path, home: Path
) -> None:
    (tmp_path / "large.bin").write_bytes(os.urandom(5 << 20))
    assert myd("login", server.url, stdin=account.token).status == 0
    assert myd("push", tmp_path / "large.bin", target).status == 0
    assert myd("pull", target, "-o", tmp_path / "out", "--cache").status == 0
    assert sorted(os.listdir(home)) == ["cache", "config", "state"]
    kept = [path for name in os.listdir(home) for path in (home / name).iterdir()]
    assert {path.name for path in kept} == {"modelyard"}
    for path in (path for folder in kept for path in folder.rglob("*") if path.is_file()):
        above = [path, *path.relative_to(home).parents]
        assert any(not (home / each).stat().st_mode & 0o077 for each in above), path
    assert stat.S_IMODE((home / "config" / "modelyard" / "credentials.json").stat().st_mode) == 0o600
    assert account.token not in "".join(
        path.read_text("latin-1") for path in home.rglob("*") if path.is_file() and path.name != "credentials.json"
    )


@pytest.mark.parametrize(
    "variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": "xterm-256color", "COLUMNS": "40"}]
)
def test_no_terminal_is_sent_a_colour_nor_a_line_that_it_has_no_room_for(
    server: LiveServer, account: Account, target: str, tmp_path: Path, variables: dict[str, str]
) -> None:
    (tmp_path / "large.bin").write_bytes(os.urandom(6 << 20))
    environment = os.environ | {"MODELYARD_URL": server.url, "MODELYARD_TOKEN": account.token, **variables}
    ours, theirs = os.openpty()
    command = [str(COMMAND), "push", str(tmp_path / "large.bin"), target, "--limit-rate", "8M"]
    running = subprocess.Popen(command, env=environment, stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    told = b""
    with suppress(OSError):  # which ends a terminal
        while piece := os.read(ours, 1 << 16):
            told += piece
    os.close(ours)
    assert running.wait() == 0
    assert b"\x1b" not in told
    assert b"1 file sent" in told
    lines = told.decode().replace("\n", "\r").split("\r")
    if "COLUMNS" in variables:
        shown = [line for line in lines if "%" in line]
        assert shown
        assert all(len(line) < 40 for line in shown)
    if variables.get("TERM") == "dumb":
        assert not any("%" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "closed", "status"),
    [
        (("whoami",), 1, 0),
        (("cat", "{target}", "a"), 1, 0),
        (("login", "{server}"), 0, 3),
        (("rm", "{target}", "a"), 0, 2),
        (("push", "{file}", "{target}"), 2, 0),
        (("whoami", "--json", "--host", "ftp://x"), 2, 2),
    ],
)
def test_a_standard_stream_may_be_closed(
    server: LiveServer,
    account: Account,
    target: str,
    tmp_path: Path,
    arguments: tuple[str, ...],
    closed: int,
    status: int,
) -> None:
    (tmp_path / "a").write_text("a")
    Registry(server.url, account.token).push([tmp_path / "a"], target)
    environment = os.environ | {"MODELYARD_URL": server.url, "MODELYARD_TOKEN": account.token}
    words = [word.format(target=target, server=server.url, file=tmp_path / "a") for word in arguments]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}>&-', "sh", COMMAND, *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Error" not in done.stderr


def test_a_token_is_asked_for_on_a_terminal_and_not_shown(
    server: LiveServer, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, object]] = []

    def prompt(text: str, **options: object) -> str:
        asked.append((text, options["hide_input"]))
        return account.token

    monkeypatch.setattr(click, "prompt", prompt)
    assert on_a_terminal(monkeypatch, "login", server.url, "--quiet") == 0
    ((text, hidden),) = asked
    assert (text.startswith("Token"), hidden) == (True, True)


@pytest.mark.usefixtures("signed_in")
def test_people_are_asked_before_something_goes(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(text: str, **_options: object) -> None:
        asked.append(text)
        raise click.Abort

    monkeypatch.setattr(click, "confirm", refuse)
    assert on_a_terminal(monkeypatch, "rm", target, "a") == 130
    assert asked == [f"Remove a of {target}?"]


def test_what_the_package_has_not_is_told() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        getattr(modelyard_client, "nothing")  # noqa: B009 - mypy knows that it is not there
