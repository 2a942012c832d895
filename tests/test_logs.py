"""Log lines: structured, with a request id, and never a token."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
import structlog

from modelyard import logs
from tests.live import running


@pytest.fixture(autouse=True)
def configuration() -> Iterator[None]:
    """Whatever a test configures ends with it."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.configure(**before)


Capture = pytest.CaptureFixture[str]


def test_own_and_foreign_events_have_one_form(capsys: Capture) -> None:
    logs.configure("info", "json")
    structlog.get_logger().info("ours", size=1)
    structlog.get_logger().debug("hidden")
    logging.getLogger("uvicorn.error").warning("theirs %s", "x")
    ours, theirs = map(json.loads, capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["level"], ours["size"]) == ("ours", "info", 1)
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("theirs x", "warning", "uvicorn.error")
    assert ours["timestamp"].endswith("Z")


def test_text_is_for_people(capsys: Capture) -> None:
    logs.configure("info", "text")
    structlog.get_logger().info("ours", size=1)
    line = capsys.readouterr().err
    assert "ours" in line
    assert not line.startswith("{")


@pytest.mark.parametrize("form", ["text", "json", None])
def test_a_traceback_never_shows_a_value(capsys: Capture, form: str | None) -> None:
    logs.configure("info", form)
    secret = "myd_" + "s" * 49
    try:
        raise ValueError(len(secret))
    except ValueError:
        structlog.get_logger().exception("failed")
    text = capsys.readouterr().err
    assert "ValueError: 53" in text
    assert secret not in text


def test_each_request_is_one_line_with_its_id_and_no_secret(capsys: Capture, tmp_path: Path) -> None:
    logs.configure("info", "json")
    path = "/projects/1/packages/ml_models/1/files/no%20file"
    with running(tmp_path) as server, server.client(server.root_token) as root:
        answer = root.get(
            path, params={"private_token": server.root_token}, headers={"X-Request-Id": "from-the-client.1"}
        )
    assert answer.headers["x-request-id"] == "from-the-client.1"
    text = capsys.readouterr().err
    served = [each for each in text.splitlines() if '"request_id"' in each]  # the client logs its requests as well
    (line,) = [json.loads(each) for each in served if "no%20file" in each]
    assert (line["event"], line["method"], line["status"]) == ("request", "GET", 404)
    assert line["path"] == f"/api/v4{path}"
    assert (line["request_id"], line["client"]) == ("from-the-client.1", "127.0.0.1")
    assert server.root_token not in "\n".join(served)


@pytest.mark.parametrize("sent", ["", "x" * 129, "a b", "a;b", "a<b>"])
def test_an_id_that_is_not_plain_is_replaced(anonymous: httpx2.Client, sent: str) -> None:
    answered = anonymous.get("/version", headers={"X-Request-Id": sent}).headers["x-request-id"]
    assert answered != sent
    assert len(answered) == 32


def test_processes_that_share_a_log_do_not_mix_their_lines() -> None:
    """A socket that keeps the bounds of what is written shows each write by itself."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    program = "import logging, structlog; from modelyard import logs; logs.configure('info', 'json')\n"
    program += "structlog.get_logger().info('ours'); logging.getLogger().info('theirs')"
    with ours:
        with theirs:
            subprocess.run([sys.executable, "-c", program], stderr=theirs.fileno(), check=True)
        written = [ours.recv(10_000), ours.recv(10_000)]
    assert [json.loads(line)["event"] for line in written] == ["ours", "theirs"]
    assert all(line.endswith(b"}\n") for line in written)


def test_what_is_no_text_is_logged_all_the_same(capsys: Capture) -> None:
    """As a file system may name a file."""
    logs.configure("info", "json")
    structlog.get_logger().info("ours", path=os.fsdecode(b"a\xff"), size=2**70)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["path"], line["size"]) == ("ours", os.fsdecode(b"a\xff"), 2**70)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's own")
def test_a_log_that_cannot_be_written_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        logs.configure("info", "json")
        structlog.get_logger().error("blob store full")
        monkeypatch.undo()
        with suppress(OSError):
            full.close()
