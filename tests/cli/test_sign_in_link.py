"""The link that `serve` prints on a terminal."""

from __future__ import annotations

import os
import pty
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.commands import Command, environment_of
from tests.ports import free_port
from tests.waiting import eventually

LINK = re.compile(rb"signed in as (\w+): (http://127\.0\.0\.1:\d+/users/sign_in\?code=myd_\w{49})\r?\n")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def served_on_terminal(folder: Path, **variables: str) -> Iterator[bytes]:
    """What a server prints on a terminal until it serves."""
    outer, inner = pty.openpty()
    port = free_port()
    with Command(
        ("serve", "--port", str(port)),
        stdin=inner,
        stdout=inner,
        stderr=subprocess.PIPE,
        env=environment_of(folder, variables),
        cwd=folder,
    ) as process:
        os.close(inner)
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if b"startup complete" in line:
                    break
            eventually(lambda: listens(port))
            yield os.read(outer, 65536)
        finally:
            process.terminate()
            process.communicate(timeout=60)
            os.close(outer)


def test_it_signs_in_whoever_clicks_it_without_a_script(tmp_path: Path) -> None:
    with served_on_terminal(tmp_path) as printed, httpx2.Client(headers={"Accept": "text/html"}, timeout=30) as browser:
        found = LINK.search(printed)
        assert found, printed
        assert found[1] == b"root"
        home = browser.get(found[2].decode(), follow_redirects=True)
        assert "Signed in as <strong>root</strong>" in home.text
        assert browser.get(found[2].decode()).status_code == 401


def test_there_is_none_where_there_are_no_pages(tmp_path: Path) -> None:
    with served_on_terminal(tmp_path, MODELYARD_PAGES="false") as printed:
        assert b"serves on" in printed
        assert b"sign_in" not in printed


def test_there_is_none_where_nobody_looks(tmp_path: Path) -> None:
    command = ("serve", "--port", str(free_port()))
    environment = environment_of(tmp_path)
    with Command(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=tmp_path) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"startup complete" in line:
                break
        process.terminate()
        printed = process.communicate(timeout=60)[0]
    assert b"serves on" in printed
    assert b"sign_in" not in printed
