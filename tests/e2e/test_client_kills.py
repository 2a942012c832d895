"""`myd` as a process, and servers as processes: both are killed in the middle, and only the rest crosses the wire."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import environment_of
from tests.e2e.processes import MIB, ServerProcess, launched, serving, wait_until_ready
from tests.waiting import eventually

COMMAND = Path(sys.executable).with_name("myd")
SIZE = 48 * MIB
TARGET = "root/kills/net@1.0.0"
SLACK = 6 * MIB  # that kills may cost: what was on its way, and what was not noted yet
RECEIVED = re.compile(r'^modelyard_http_received_bytes_total\{method="PATCH".*\} (\S+)$', re.MULTILINE)
SENT = re.compile(r'^modelyard_http_sent_bytes_total\{method="GET".*/files/.*\} (\S+)$', re.MULTILINE)
UNDER_WAY = re.compile(r'^modelyard_transfers_in_flight\{direction="down"\} (\S+)$', re.MULTILINE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with serving(tmp_path) as server:
        yield server


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    content = os.urandom(SIZE)
    (tmp_path / "w.bin").write_bytes(content)
    return content


def begun(server: ServerProcess, *arguments: str | Path) -> subprocess.Popen[str]:
    """The command, begun."""
    environment = environment_of(server.folder)
    for name in ("CONFIG", "CACHE", "STATE"):
        environment[f"XDG_{name}_HOME"] = str(server.folder / name.lower())
    environment |= {
        "MODELYARD_URL": f"http://127.0.0.1:{server.port}",
        "MODELYARD_TOKEN": (server.folder / "data" / "root-token").read_text().strip(),
    }
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def done(server: ServerProcess, *arguments: str | Path) -> str:
    """What the command has told, when it was done."""
    process = begun(server, *arguments)
    _out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return err


def counted(server: ServerProcess, pattern: re.Pattern[str]) -> float:
    """Bytes of bodies as the server counts them."""
    with server.client as client:
        text = client.get(f"http://127.0.0.1:{server.port}/metrics").text
    return sum(map(float, pattern.findall(text)))


def offset(server: ServerProcess) -> int:
    """Bytes that are on the server's disk of an upload."""
    return sum(path.stat().st_size for path in (server.folder / "data" / "blobs" / "incoming").glob("*.upload"))


@pytest.mark.slow
def test_a_push_whose_client_and_server_are_killed_sends_only_the_rest(
    server: ServerProcess, tmp_path: Path, content: bytes
) -> None:
    push = ("push", tmp_path / "w.bin", TARGET, "--create")
    first = begun(server, *push, "--limit-rate", "12Mi")
    eventually(lambda: offset(server) > SIZE // 3)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    eventually(lambda: counted(server, RECEIVED) > 0)
    before = counted(server, RECEIVED)
    second = begun(server, *push, "--limit-rate", "12Mi")
    eventually(lambda: offset(server) > SIZE * 2 // 3)
    server.kill()
    server.process = launched(server.folder, server.port).process
    wait_until_ready(server)
    _out, err = second.communicate(timeout=100)
    assert second.returncode == 0, err
    assert "going on" in err
    assert before < SIZE
    assert counted(server, RECEIVED) < SIZE * 2 // 3 + SLACK  # saved every two seconds, of a third
    assert "were there" in done(server, *push)
    assert _downloaded(server) == content


@pytest.mark.slow
def test_a_pull_that_is_killed_twice_brings_only_the_rest(
    server: ServerProcess, tmp_path: Path, content: bytes
) -> None:
    done(server, "push", tmp_path / "w.bin", TARGET, "--create")
    pull = ("pull", TARGET, "-o", tmp_path / "out")
    for share in (1, 2):
        process = begun(server, *pull, "--limit-rate", "16Mi")
        eventually(lambda: _noted(tmp_path / "out") > SIZE * share // 3)  # noqa: B023 - it is asked at once
        assert counted(server, UNDER_WAY) > 0
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (tmp_path / "out" / "w.bin").exists()
    noted = _noted(tmp_path / "out")
    eventually(lambda: counted(server, UNDER_WAY) == 0)  # what was sent to the dead is counted when that is noticed
    before = counted(server, SENT)
    assert "going on" in done(server, *pull)
    assert counted(server, SENT) - before <= SIZE - noted
    assert (tmp_path / "out" / "w.bin").read_bytes() == content
    assert os.listdir(tmp_path / "out") == ["w.bin"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["push", "pull"])
def test_ctrl_c_ends_it_with_130_and_what_was_done_stays(
    server: ServerProcess, tmp_path: Path, content: bytes, command: str
) -> None:
    push = ("push", tmp_path / "w.bin", TARGET, "--create")
    if command == "pull":
        done(server, *push)
    arguments = push if command == "push" else ("pull", TARGET, "-o", tmp_path / "out")
    process = begun(server, *arguments, "--limit-rate", "12Mi")
    eventually(lambda: (offset(server) if command == "push" else _noted(tmp_path / "out")) > SIZE // 4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert "\r" not in err
    assert "going on" in done(server, *arguments)
    assert len(content) == SIZE


def _noted(folder: Path) -> int:
    """Bytes that a pull would not fetch again."""
    lines = [line.split() for path in (folder / ".myd").glob("*.log") for line in path.read_text().splitlines()]
    return sum(int(fields[1]) - int(fields[0]) for fields in lines if len(fields) == 3)


def _downloaded(server: ServerProcess) -> bytes:
    done(server, "pull", TARGET, "-o", server.folder / "back")
    return (server.folder / "back" / "w.bin").read_bytes()
